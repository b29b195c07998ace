"""Known deviations of OnnxSlim."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import mixes_precisions

KNOWN: tuple[Known, ...] = (
    Known(
        title="A convolution in half precision is given weights in float32",
        backends="onnxslim.folded*",
        clauses=("contract.accepts",),
        where=mixes_precisions,
        conditions="x in float16; scale, bias, mean and variance in float32, which BatchNormalization allows from opset 15 on",
        kind="bug",
        reason="the fusion of both nodes makes weights in the parameters' dtype, and the convolution has no longer one dtype: the model is invalid.",
        observed=(
            "a Conv of float16 and BatchNormalization with float32 parameters run in ONNX Runtime. Of the model that is made of them, onnx.checker says "
            "'W has inconsistent type tensor(float)', and ONNX Runtime refuses it: 'Type parameter (T) of Optype (Conv) bound to different types'."
        ),
        reported=False,
        package="onnxslim",
        versions=">=0.1.98,<0.2",
    ),
)
