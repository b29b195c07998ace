"""``onnxoptimizer.folded``: a convolution and the node after it, made one by the pass fuse_bn_into_conv of onnxoptimizer.

ONNX Runtime runs the result, with its own graph optimizations off. A transposed convolution is left as it is.

Source: https://github.com/onnx/optimizer/blob/main/onnxoptimizer/passes/fuse_bn_into_conv.h
"""

from __future__ import annotations

from typing import Any, Dict

from bnspec.backends.onnx.common import Session
from bnspec.backends.onnxruntime.common import RuntimeFolding


class OptimizerFolded(RuntimeFolding):
    """Models that onnxoptimizer.optimize has changed by its default passes, which fuse and eliminate."""

    framework = "onnxoptimizer"
    level = "ORT_DISABLE_ALL"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnxoptimizer

        self.onnxoptimizer = onnxoptimizer

    def versions(self) -> Dict[str, str]:
        """Versions of ONNX Optimizer, ONNX Runtime and onnx."""
        return {"onnxoptimizer": str(self.onnxoptimizer.__version__), **super().versions()}

    def session(self, model: Any) -> Session:
        """The changed model's."""
        return super().session(self.onnxoptimizer.optimize(model))
