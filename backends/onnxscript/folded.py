"""``onnxscript.folded`` and ``onnxscript.folded.transposed``: a convolution and the node after it, made one by onnxscript.rewriter.

ONNX Runtime runs the result, with its own graph optimizations off.

Source: https://github.com/microsoft/onnxscript/tree/main/onnxscript/rewriter
"""

from __future__ import annotations

from typing import Any, Dict

from bnspec.backends.onnx.common import Session
from bnspec.backends.onnxruntime.common import RuntimeFolding


class ScriptFolded(RuntimeFolding):
    """Models that onnxscript.rewriter.rewrite has changed by its default rules."""

    framework = "onnxscript"
    level = "ORT_DISABLE_ALL"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnxscript
        from onnxscript import rewriter

        self.onnxscript, self.rewriter = onnxscript, rewriter

    def versions(self) -> Dict[str, str]:
        """Versions of ONNX Script, ONNX Runtime and onnx."""
        return {"onnxscript": str(self.onnxscript.__version__), **super().versions()}

    def session(self, model: Any) -> Session:
        """The rewritten model's."""
        return super().session(self.rewriter.rewrite(model))


class ScriptFoldedTransposed(ScriptFolded):
    """After a transposed convolution."""

    transposed = True
