"""``onnxruntime.mvn``: the operator MeanVarianceNormalization, of whole training sets by their own statistics.

Source: https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html
"""

from __future__ import annotations

from typing import Any, Callable

from bnspec.backends.onnx.mean_variance import MeanVarianceAdapter
from bnspec.backends.onnxruntime.common import RuntimeAdapter


class RuntimeMvn(RuntimeAdapter, MeanVarianceAdapter):
    """ONNX Runtime's execution provider for CPUs."""

    def session(self, model: Any) -> Callable[[Any], Any]:
        """y of x."""
        made = self.made(model)
        return lambda x: made.run(None, {"x": x})[0]
