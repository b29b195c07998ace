"""``iree.onnx``: ONNX models of one BatchNormalization node, as IREE's importer reads them.

IREE has the node of opset 15 alone; models of older opsets are refused, unless they are converted.

Source: https://iree.dev/guides/ml-frameworks/onnx/
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

from bnspec.backends.iree.common import Iree, versions
from bnspec.backends.onnx.common import CONVENTIONS, INPUTS, OnnxAdapter, Session


class IreeOnnx(OnnxAdapter):
    """Imported models: ``iree-import-onnx``, ``iree-compile``."""

    framework = "iree.runtime"
    opset = 15
    conventions = dataclasses.replace(
        CONVENTIONS,
        half_arithmetic="parameters",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.iree = Iree()

    def versions(self) -> Dict[str, str]:
        """Versions of the compiler, of the runtime and of onnx."""
        return {**versions(), "onnx": str(self.onnx.__version__)}

    def session(self, model: Any) -> Session:
        """The compiled module of the model."""
        from iree.compiler.extras import onnx_importer
        from iree.compiler.ir import Context

        inferred = self.onnx.shape_inference.infer_shapes(model, data_prop=True)
        info = onnx_importer.ModelInfo(inferred)
        module = info.create_module(context=Context()).operation
        onnx_importer.NodeImporter.define_function(info.main_graph, module).import_all()
        module.verify()
        function = self.iree.function(str(module))
        return lambda inputs: function(*(inputs[name] for name in INPUTS))
