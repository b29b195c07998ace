"""Clauses on accuracy that users can use: digits that remain where summation order decides."""

from bnspec.clauses.clause import CHAN, HIGHAM, Clause

CLAUSES = (
    Clause(
        "accuracy.keeps_a_digit",
        "SHOULD",
        "Where blocked, pairwise or wider sums keep a digit of a result, it keeps one; where they may lose all, it loses two bits more at most.",
        "|error of y, dx, mean, var| <= max(4 good, scale / 10),   |error of dgamma, dbeta| <= max(100 good, |value| / 10),   good: the bound of good sums",
        (
            "Values added one by one in float32 lose digits as their count grows: at 100,000 values around 10,000 the mean is off by "
            "several standard deviations, and no bound that admits every order of summation shows it. What is off by more than that "
            "bound is another clause's matter."
        ),
        f"{HIGHAM}, 4.2; {CHAN}",
        ("half_statistics", "half_arithmetic"),
        since="1.1",
    ),
)
