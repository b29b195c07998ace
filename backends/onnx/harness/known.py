"""Known deviations of ONNX's reference evaluator."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import trains_on_nothing

KNOWN: tuple[Known, ...] = (
    Known(
        title="Inference in opset 9 mixes the batch into the statistics",
        backends="onnx.opset9",
        clauses=(
            "affine.per_channel",
            "epsilon.inside_root_in_inference",
            "inference.bits_are_independent_of_batch",
            "inference.output",
            "inference.value_is_independent_of_batch",
            "layout.axis",
            "layout.extents",
            "layout.strides",
            "special.channels_are_isolated",
            "special.inference_keeps_special_values",
            "special.negative_variance_is_shown",
        ),
        where=lambda case: any(s.call.mode == "inference" for s in case.steps),
        conditions="inference",
        kind="bug",
        reason="the evaluator takes the attribute momentum, whose default the schema supplies, for a sign of training, and normalises by the moved statistics.",
        observed="x [[1], [3]], mean 0, variance 1: y is [[0.999995], [2.999985]] up to the moved mean 0.2 and variance 1.0: see the report.",
        reported=True,
        link="https://github.com/onnx/onnx/pull/8442",
        package="onnx",
        versions=">=1.16,<1.24",
    ),
    Known(
        title="An empty batch makes statistics NaN",
        backends="onnx.opset1*",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error.",
        observed="x of shape (0, 1), training_mode=1: both statistics are nan.",
        reported=False,
        package="onnx",
        versions=">=1.16,<1.24",
    ),
)
