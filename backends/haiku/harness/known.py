"""Known deviations of Haiku."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    decay_is_1_in_bfloat16,
    differentiates_state,
    off_centre,
    takes_integers,
    trains_on_nothing,
)
from bnspec.clauses import CLAUSES

#: The clauses that compare running statistics, among others.
OF_RUNNING_STATISTICS = tuple(
    c for c in CLAUSES if c.startswith(("running.", "layout.", "epsilon.not_in_")) and CLAUSES[c].level == "MUST"
)

KNOWN: tuple[Known, ...] = (
    Known(
        title="The variance cancels",
        backends="haiku*",
        clauses=(
            "training.output_is_stable",
            "running.statistics_are_stable",
            "gradient.training_is_stable",
            "accuracy.keeps_a_digit",
            "dtype.half_is_as_exact_as_declared",
            "training.finite",
            "running.var_not_negative",
            "degenerate.constant_channel",
        ),
        where=off_centre,
        conditions="a channel with |mean| > 8 std, or constant",
        kind="accuracy",
        reason="the variance is E[x^2] - E[x]^2, which may be negative: then the running variance is, and y is NaN.",
        observed="1000, 1000.25, 999.75, 1000.5: the variance is 0.0625, exact 0.078125, and y[1] is 0.49996, exact 0.44718.",
        reported=True,
        link="https://github.com/google/flax/issues/1491",
        search="The report is of the same formula in Flax.",
        package="haiku",
        versions=">=0.0.17,<0.0.18",
    ),
    Known(
        title="An empty batch makes statistics NaN",
        backends="haiku*",
        clauses=("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the averages, without an error.",
        observed="x of shape (0, 1): the hidden and the debiased average are nan.",
        reported=True,
        link="https://github.com/google-deepmind/sonnet/issues/125",
        search="The report is of the same in Sonnet.",
        package="haiku",
        versions=">=0.0.17,<0.0.18",
    ),
    Known(
        title="Integers are squared in their own dtype",
        backends="haiku*",
        clauses=("dtype.integers_become_floating",),
        where=takes_integers,
        conditions="training on integers whose squares do not fit into their dtype, as uint8 from 16 on",
        kind="bug",
        reason="the mean of x^2 is formed in the integer dtype, where it wraps: the variance is negative, and y NaN.",
        observed="uint8 [60, 80, 100]: the variance is -6389.3, exact 266.7, and y is NaN three times.",
        reported=False,
        package="haiku",
        versions=">=0.0.17,<0.0.18",
    ),
    Known(
        title="A decay that bfloat16 rounds to 1 divides by 0",
        backends="haiku*",
        clauses=(*OF_RUNNING_STATISTICS, "training.finite", "dtype.half_is_as_exact_as_declared"),
        where=decay_is_1_in_bfloat16,
        conditions="training in bfloat16 with a decay above 1 - 2^-9",
        kind="bug",
        reason="the average is divided by 1 - decay^steps in bfloat16, where a decay such as 0.999 is 1: 0/0.",
        observed="bfloat16 [1, 3], decay_rate 0.999: both averages are nan; in float32 2 and 1.",
        reported=False,
        package="haiku",
        versions=">=0.0.17,<0.0.18",
    ),
    Known(
        title="Gradients flow through the running statistics",
        backends="haiku*",
        clauses=("gradient.none_through_the_running_update",),
        where=differentiates_state,
        conditions="a loss that reads the running statistics after the step, by JAX's differentiation",
        kind="bug",
        reason="the averages in the new state are functions of x, and their update is not cut out of the differentiation.",
        observed="decay_rate 0.5, x [[1], [3]]: the gradient of the new hidden mean by x is [0.25, 0.25].",
        reported=False,
        package="haiku",
        versions=">=0.0.17,<0.0.18",
    ),
)
