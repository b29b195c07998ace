"""Shared by the backends of ONNX Runtime: sessions with a number of threads, at a level of graph optimizations.

Source: https://onnxruntime.ai/docs/api/python/api_summary.html and
https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html
"""

from __future__ import annotations

from typing import Any, Dict

from bnspec.backends.onnx.common import Session
from bnspec.backends.onnx.folded import FoldedAdapter
from bnspec.contract import Adapter


class RuntimeAdapter(Adapter):
    """ONNX Runtime before an adapter of models, which imports onnx. Subclasses may define ``level``."""

    framework = "onnxruntime"
    #: The level of graph optimizations, by its name; the default of ONNX Runtime.
    level = "ORT_ENABLE_ALL"
    #: Threads of a session; 0: ONNX Runtime's choice.
    thread_count = 1
    onnx: Any

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnxruntime

        self.onnxruntime = onnxruntime

    def versions(self) -> Dict[str, str]:
        """Versions of ONNX Runtime and of onnx."""
        return {"onnxruntime": str(self.onnxruntime.__version__), "onnx": str(self.onnx.__version__)}

    def made(self, model: Any) -> Any:
        """An InferenceSession of this ModelProto."""
        options = self.onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = self.thread_count
        options.graph_optimization_level = getattr(self.onnxruntime.GraphOptimizationLevel, self.level)
        return self.onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def session(self, model: Any) -> Session:
        """What runs this ModelProto: its outputs by the names of its inputs."""
        made = self.made(model)
        return lambda inputs: tuple(made.run(None, dict(inputs)))


class RuntimeFolding(RuntimeAdapter, FoldedAdapter):
    """Models of a convolution and the node."""
