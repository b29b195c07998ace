"""Known deviations of tract."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import scales

KNOWN: tuple[Known, ...] = (
    Known(
        title="A training node for its y alone is an inference",
        backends="tract.opset15.output",
        clauses=("input.transform", "input.constant_feature_is_finite"),
        where=scales,
        conditions="BatchNormalization with training_mode=1 whose other outputs are left out",
        kind="bug",
        reason="training_mode is not looked at where there is one output: y is normalised by the running statistics. With three outputs the model is refused.",
        observed="x [[1, 2], [3, 6]], running mean 3 and variance 4, epsilon 0.001: y is [[-1, -0.5], [0, 1.5]]; of onnx's reference evaluator, OpenVINO and TVM [[-1, -1], [1, 1]].",
        reported=False,
        package="tract",
        versions=">=0.23,<0.24",
    ),
)
