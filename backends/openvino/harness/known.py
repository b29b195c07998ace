"""Known deviations of OpenVINO."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import mixes_precisions

KNOWN: tuple[Known, ...] = (
    Known(
        title="An ONNX node of two precisions is not read",
        backends="openvino.folded*",
        clauses=("contract.accepts",),
        where=mixes_precisions,
        conditions="x in float16; scale, bias, mean and variance in float32, which BatchNormalization allows from opset 15 on",
        kind="bug",
        reason="the frontend hands the node to BatchNormInference as it is, which asks for one element type.",
        observed=(
            "read_model says 'Model wasn't fully converted' of BatchNormalization-15: 'Check element::Type::merge(data_et, data_et, input_et) failed', of "
            "f16 x and f32 scale. With float16 parameters the model is read; ONNX Runtime runs both."
        ),
        reported=False,
        package="openvino",
        versions=">=2026,<2027",
    ),
)
