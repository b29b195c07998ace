"""``onnxslim.folded`` and ``onnxslim.folded.transposed``: a convolution and the node after it, made one by onnxslim.slim.

ONNX Runtime runs the result, with its own graph optimizations off.

Source: https://github.com/inisis/OnnxSlim
"""

from __future__ import annotations

from typing import Any, Dict

from bnspec.backends.onnx.common import Session
from bnspec.backends.onnxruntime.common import RuntimeFolding


class SlimFolded(RuntimeFolding):
    """Models that onnxslim.slim has made smaller."""

    framework = "onnxslim"
    level = "ORT_DISABLE_ALL"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnxslim

        self.onnxslim = onnxslim

    def versions(self) -> Dict[str, str]:
        """Versions of OnnxSlim, ONNX Runtime and onnx."""
        return {"onnxslim": str(self.onnxslim.__version__), **super().versions()}

    def session(self, model: Any) -> Session:
        """The smaller model's."""
        return super().session(self.onnxslim.slim(model))


class SlimFoldedTransposed(SlimFolded):
    """After a transposed convolution."""

    transposed = True
