"""Shared by the backends that run folded models in ONNX Runtime: sessions at a level of graph optimizations.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html
"""

from __future__ import annotations

from typing import Any, Dict

from bnspec.backends.onnx.common import Session
from bnspec.backends.onnx.folded import FoldedAdapter


class RuntimeFolding(FoldedAdapter):
    """Models of a convolution and the node. Subclasses may define ``level``."""

    framework = "onnxruntime"
    #: The level of graph optimizations, by its name.
    level = "ORT_ENABLE_ALL"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnxruntime

        self.onnxruntime = onnxruntime

    def versions(self) -> Dict[str, str]:
        """Versions of ONNX Runtime and of onnx."""
        return {"onnxruntime": str(self.onnxruntime.__version__), "onnx": str(self.onnx.__version__)}

    def session(self, model: Any) -> Session:
        """An InferenceSession."""
        options = self.onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.graph_optimization_level = getattr(self.onnxruntime.GraphOptimizationLevel, self.level)
        made = self.onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return lambda inputs: tuple(made.run(None, dict(inputs)))
