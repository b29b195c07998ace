"""Known deviations of MLX."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import many_large_values, trains_on_nothing

KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty batch makes statistics NaN",
        backends="mlx",
        clauses=("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error; one value per channel is refused.",
        observed="nn.BatchNorm(2) of zeros of shape (0, 2): both statistics are nan.",
        reported=False,
        package="mlx",
        versions=">=0.32,<0.33",
    ),
    Known(
        title="Sums of many large values lose every digit",
        backends="mlx",
        clauses=("accuracy.keeps_a_digit", "training.output_is_stable", "running.statistics_are_stable"),
        where=many_large_values,
        conditions="float32 x, 1,000 values or more each, count |mean| > 1e8 std",
        kind="accuracy",
        reason="the rows are added one after the other in float32.",
        observed="The suite's case, 20,011 rows: the running mean is -2875105, exact -2875000.",
        reported=False,
        package="mlx",
        versions=">=0.32,<0.33",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="mlx",
        clause="special.overflow_is_not_finite",
        note="squares that overflow make the variance infinite, and y beta.",
    ),
)
