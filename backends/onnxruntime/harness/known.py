"""Known deviations of ONNX Runtime."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import trains_on_nothing

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
)
