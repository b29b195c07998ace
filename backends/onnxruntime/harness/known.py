"""Known deviations of ONNX Runtime."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import rows_of_large_means, trains_on_nothing

KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty batch makes statistics NaN",
        backends="onnxruntime.opset1*",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error.",
        observed="x of shape (0, 1), training_mode=1: both statistics are nan.",
        reported=False,
        package="onnxruntime",
        versions=">=1.32,<1.33",
    ),
    Known(
        title="Sums row by row lose every digit",
        backends="onnxruntime.opset1*",
        clauses=("accuracy.keeps_a_digit",),
        where=rows_of_large_means,
        conditions="float32 x with its channels innermost, 1,000 values a channel or more, count |mean| > 1e8 std, in training mode",
        kind="accuracy",
        reason="rows of float32 are added one after the other.",
        observed=(
            "100,000 rows of mean 1e4 and standard deviation 1: running variance 55.7, exact 0.99969; the same as images with the "
            "channels first: 1.00404, exact 1.00404."
        ),
        reported=False,
        package="onnxruntime",
        versions=">=1.32,<1.33",
    ),
)
