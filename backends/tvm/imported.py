"""``tvm.onnx``: ONNX models of one BatchNormalization node, as Relax's frontend reads them.

Source: https://tvm.apache.org/docs/reference/api/python/relax/frontend.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

from bnspec.backends.onnx.common import CONVENTIONS, INPUTS, OnnxAdapter, Session
from bnspec.backends.tvm.common import Relax, versions


class TvmOnnx(OnnxAdapter):
    """Imported models, of opset 15."""

    framework = "tvm"
    opset = 15
    conventions = dataclasses.replace(
        CONVENTIONS,
        half_arithmetic="parameters",
        dtypes=("float64", "float32", "float16"),
        half_parameters=("float32", "input"),
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.backend = Relax()

    def versions(self) -> Dict[str, str]:
        """Versions of TVM and of onnx."""
        return {**versions(), "onnx": str(self.onnx.__version__)}

    def session(self, model: Any) -> Session:
        """The compiled module of the model."""
        from tvm.relax.frontend.onnx import from_onnx

        function = self.backend.function(from_onnx(model))
        return lambda inputs: tuple(function(*(inputs[name] for name in INPUTS)))
