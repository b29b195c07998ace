"""``onnxruntime.mvn``: the operator MeanVarianceNormalization, of whole training sets by their own statistics.

Source: https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html
"""

from __future__ import annotations

from typing import Any, Callable, Dict

from bnspec.backends.onnx.mean_variance import MeanVarianceAdapter


class RuntimeMvn(MeanVarianceAdapter):
    """ONNX Runtime's execution provider for CPUs."""

    framework = "onnxruntime"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnxruntime

        self.onnxruntime = onnxruntime

    def versions(self) -> Dict[str, str]:
        """Versions of ONNX Runtime and of onnx."""
        return {"onnxruntime": str(self.onnxruntime.__version__), "onnx": str(self.onnx.__version__)}

    def session(self, model: Any) -> Callable[[Any], Any]:
        """An InferenceSession."""
        options = self.onnxruntime.SessionOptions()
        options.log_severity_level = 4
        made = self.onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return lambda x: made.run(None, {"x": x})[0]
