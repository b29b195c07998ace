"""``onnxsim.folded`` and ``onnxsim.folded.transposed``: a convolution and the node after it, made one by onnxsim.simplify.

ONNX Runtime runs the result, with its own graph optimizations off.

Source: https://github.com/onnxsim/onnxsim
"""

from __future__ import annotations

from typing import Any, Dict

from bnspec.backends.onnx.common import Session
from bnspec.backends.onnxruntime.common import RuntimeFolding


class SimFolded(RuntimeFolding):
    """Models that onnxsim.simplify has made simpler."""

    framework = "onnxsim"
    level = "ORT_DISABLE_ALL"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnxsim

        self.onnxsim = onnxsim

    def versions(self) -> Dict[str, str]:
        """Versions of ONNX Simplifier, ONNX Runtime and onnx."""
        return {"onnxsim": str(self.onnxsim.__version__), **super().versions()}

    def session(self, model: Any) -> Session:
        """The simpler model's."""
        simpler, _ = self.onnxsim.simplify(model)
        return super().session(simpler)


class SimFoldedTransposed(SimFolded):
    """After a transposed convolution."""

    transposed = True
