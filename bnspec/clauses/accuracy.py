"""Clauses on accuracy that users can use: digits that remain where summation order decides, and errors without a direction."""

from bnspec.clauses.clause import CHAN, HIGHAM, IEEE, Clause

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
    Clause(
        "accuracy.errors_are_unbiased",
        "SHOULD",
        "Over many channels the errors of a result have no direction: neither the results nor their magnitudes are off on average.",
        "|mean e| <= admitted + t s / sqrt(C),   |mean e sign(exact)| <= admitted + t s / sqrt(C),   e: error in u of the channel's values, t: 1e-6",
        (
            "Truncated results, bfloat16 made by dropping bits and reciprocal roots that are always too small stay within every "
            "bound, and errors of one direction add up over layers and steps where errors of rounding to nearest cancel. Admitted is "
            "what a correct layer may round alike in every channel: half a u of a reciprocal root, and the constant m / (m - 1). "
            "Statistics that are declared to be formed in half precision are not judged: such sums stagnate."
        ),
        f"{IEEE}, 4.3.1; {HIGHAM}, 2.8",
        ("half_statistics", "half_arithmetic", "running_correction", "normalising_correction"),
        since="1.1",
    ),
)
