"""Known deviations of MLX."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import trains_on_nothing

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
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="mlx",
        clause="special.overflow_is_not_finite",
        note="squares that overflow make the variance infinite, and y beta.",
    ),
)
