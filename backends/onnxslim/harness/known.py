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
    Known(
        title="A training node of a constant loses its first output",
        backends="onnxslim.training",
        clauses=("contract.accepts",),
        where=lambda case: case.subject == "input_norm",
        conditions="training_mode=1, an x that is a constant of the model, and new statistics that are results of the model",
        kind="bug",
        reason=(
            "y is computed beforehand and becomes a constant; the node is kept for its other outputs, with y removed from the list, so "
            "that two outputs are left, where the first is not optional: ONNX's checker and ONNX Runtime refuse the model."
        ),
        observed=(
            "x [[1, 2], [3, 6]], y + zeros and both new statistics as results: the node's outputs become new_mean, new_var; onnx.checker: "
            '"output size 2 not in allowed output sizes", ONNX Runtime: INVALID_GRAPH.'
        ),
        reported=False,
        package="onnxslim",
        versions=">=0.1.98,<0.2",
    ),
)
