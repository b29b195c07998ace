"""``openvino.folded`` and ``openvino.folded.transposed``: a convolution and BatchNormalization after it, as OpenVINO compiles them.

The model is ONNX, read by OpenVINO's frontend; its transformations make one convolution of both.

Source: https://docs.openvino.ai/2026/openvino-workflow/model-preparation/convert-model-onnx.html
"""

from __future__ import annotations

from typing import Any, Dict

from bnspec.backends.onnx.common import Session
from bnspec.backends.onnx.folded import FoldedAdapter
from bnspec.backends.openvino.common import release


class OpenVinoFolded(FoldedAdapter):
    """Models in float32: the plugin's precision hint is set to it."""

    framework = "openvino"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import openvino

        self.openvino, self.core = openvino, openvino.Core()

    def versions(self) -> Dict[str, str]:
        """Versions of OpenVINO and of onnx."""
        return {"openvino": release(self.openvino), "onnx": str(self.onnx.__version__)}

    def session(self, model: Any) -> Session:
        """A compiled model."""
        read = self.core.read_model(model.SerializeToString())
        compiled = self.core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda inputs: (compiled([inputs["x"]])[0].copy(),)


class OpenVinoFoldedTransposed(OpenVinoFolded):
    """After a transposed convolution."""

    transposed = True
