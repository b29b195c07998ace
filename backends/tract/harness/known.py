"""Known deviations of tract."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import mixes_precisions, scales

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
    Known(
        title="An ONNX node of two precisions is not loaded",
        backends="tract.folded*",
        clauses=("contract.accepts",),
        where=mixes_precisions,
        conditions="x in float16; scale, bias, mean and variance in float32, which BatchNormalization allows from opset 15 on",
        kind="bug",
        reason="the node's rule of dtypes asks for one of x and its parameters.",
        observed=(
            "into_model says 'Failed analyse for node y BatchNorm: Applying rule outputs[0].datum_type == inputs[0].datum_type == "
            "inputs[1].datum_type ...: Impossible to unify F16 with F32'. With float16 parameters the model is loaded; ONNX Runtime runs both."
        ),
        reported=False,
        package="tract",
        versions=">=0.23,<0.24",
    ),
)
