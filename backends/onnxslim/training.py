"""``onnxslim.training``: a training node over tables that are constants of the model, which onnxslim.slim may compute beforehand.

y comes out of a sum with the model's one input, zeros; the node's other outputs are results of the model. ONNX Runtime runs what is left.

Source: https://github.com/inisis/OnnxSlim
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

import numpy as np

from bnspec.backends.onnx.common import INPUTS, model_of
from bnspec.backends.onnx.training_output import EPSILON, RUNNING, TrainingOutput
from bnspec.backends.onnxruntime.common import RuntimeAdapter
from bnspec.backends.worker.scaler_rows import ScaledTable, ScalerAdapter
from bnspec.contract import LayerConfig


class SlimTraining(RuntimeAdapter, ScalerAdapter):
    """Models that onnxslim.slim has made smaller, one for each table."""

    framework = "onnxslim"
    level = "ORT_DISABLE_ALL"
    conventions = TrainingOutput.conventions

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnx
        import onnx.numpy_helper
        import onnxslim

        self.onnx, self.onnxslim = onnx, onnxslim

    def versions(self) -> Dict[str, str]:
        """Versions of OnnxSlim, ONNX Runtime and onnx."""
        return {"onnxslim": str(self.onnxslim.__version__), **super().versions()}

    def scaler(self, config: LayerConfig) -> ScaledTable:
        """The node, for one table."""
        return ScaledTable(config, lambda table: self.scaled(config, np.array(table, order="C")))

    def scaled(self, config: LayerConfig, table: np.ndarray) -> Any:
        """y of the smaller model."""
        session = self.session(self.onnxslim.slim(self.model_over(config, table)))
        return session({"zeros": np.zeros_like(table)})[0]

    def model_over(self, config: LayerConfig, table: np.ndarray) -> Any:
        """The ModelProto of the node of this table and the sum behind it."""
        columns = dataclasses.replace(
            config, rank=2, channel_axis=1, epsilon=EPSILON, decay=0.5, parameter_dtype=config.dtype
        )
        model, onnx = model_of(self.onnx, 15, columns, "training"), self.onnx
        constants = [np.full(columns.channels, value, columns.dtype) for value in (1.0, 0.0, *RUNNING)]
        for name, array in zip(("table", *INPUTS[1:]), (table, *constants)):
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        del model.graph.input[1:]
        model.graph.input[0].name, node = "zeros", model.graph.node[0]
        node.input[0], node.output[0] = "table", "z"
        model.graph.node.append(onnx.helper.make_node("Add", ["z", "zeros"], ["y"]))
        onnx.checker.check_model(model)
        return model
