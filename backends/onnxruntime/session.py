"""``onnxruntime.opset9``, ``onnxruntime.opset14`` and ``onnxruntime.opset15``: ONNX Runtime's execution provider for CPUs.

Source: https://onnxruntime.ai/docs/api/python/api_summary.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Optional

from bnspec.backends.onnx.common import CONVENTIONS, OnnxAdapter, Session, model_of
from bnspec.contract import LayerConfig

#: A layer that every release can run, if it knows the opset.
PROBE = LayerConfig(2, 1, 1, 1e-5, 0.9, "float32", "float32")


class RuntimeOpset9(OnnxAdapter):
    """Opset 9: inference alone."""

    framework = "onnxruntime"
    opset = 9
    conventions = dataclasses.replace(CONVENTIONS, checks_arguments=True, dtypes=("float64", "float32", "float16"))

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnxruntime

        self.onnxruntime, self.thread_count = onnxruntime, 0
        refused = onnxruntime.capi.onnxruntime_pybind11_state
        try:  # no release says which opsets it has
            self.session(model_of(self.onnx, self.opset, PROBE, "inference"))
        except (refused.Fail, refused.InvalidArgument, refused.InvalidGraph, refused.NotImplemented) as error:
            raise ImportError("a model of opset %d is refused: %s" % (self.opset, error)) from error

    def versions(self) -> Dict[str, str]:
        """Versions of ONNX Runtime and of onnx."""
        return {"onnxruntime": str(self.onnxruntime.__version__), "onnx": str(self.onnx.__version__)}

    def threads(self) -> Optional[int]:
        """The number that was asked for; None: ONNX Runtime's choice."""
        return self.thread_count or None

    def use_threads(self, count: int) -> None:
        """Sessions made from now on use so many threads; 0: ONNX Runtime's choice."""
        self.thread_count = count
        self.sessions.clear()

    def session(self, model: Any) -> Session:
        """An InferenceSession."""
        options = self.onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.thread_count
        options.log_severity_level = 4
        made = self.onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return lambda inputs: tuple(made.run(None, dict(inputs)))


class RuntimeOpset14(RuntimeOpset9):
    """Opset 14: a training mode."""

    opset = 14


class RuntimeOpset15(RuntimeOpset9):
    """Opset 15: parameters and statistics of another dtype than x, too."""

    opset = 15
    conventions = dataclasses.replace(RuntimeOpset9.conventions, half_parameters=("float32", "input"))
