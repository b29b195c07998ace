"""Shared by the backends that run a training node of BatchNormalization for its y alone: tables scaled by their own statistics.

The node's other outputs are optional and left out; its parameters and running statistics are constants of the model. The latter are far
from what any table has, so that a node which normalises by them shows.

Source: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Tuple

import numpy as np

from bnspec.backends.onnx.common import INPUTS, Session, model_of
from bnspec.backends.worker.scaler_rows import ScaledTable, ScalerAdapter
from bnspec.contract import Conventions, LayerConfig

#: The node's epsilon, which float32 holds, and its running mean and variance.
EPSILON, RUNNING = 2.0**-10, (4096.0, 0.25)


class TrainingOutput(ScalerAdapter):
    """Models of one node of opset 15 over the rows of a table, for adapters with a method ``session``."""

    conventions = Conventions(
        dtypes=("float32",), half_parameters=("input",), input_normalization=True, input_epsilon=EPSILON
    )
    session: Any

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnx
        import onnx.numpy_helper

        self.onnx = onnx
        self.made: Dict[Tuple[str, int], Session] = {}

    def scaler(self, config: LayerConfig) -> ScaledTable:
        """The node, for one table."""
        key = config.dtype, config.channels
        if key not in self.made:
            self.made[key] = self.session(self.model(config))
        return ScaledTable(config, lambda table: self.made[key]({"x": np.array(table, order="C")})[0])

    def model(self, config: LayerConfig) -> Any:
        """The ModelProto of tables of so many columns."""
        table = dataclasses.replace(
            config, rank=2, channel_axis=1, epsilon=EPSILON, decay=0.5, parameter_dtype=config.dtype
        )
        model = model_of(self.onnx, 15, table, "training")
        for name, value in zip(INPUTS[1:], (1.0, 0.0, *RUNNING)):
            array = np.full(table.channels, value, table.dtype)
            model.graph.initializer.append(self.onnx.numpy_helper.from_array(array, name))
        del model.graph.input[1:], model.graph.output[1:]
        model.graph.node[0].output[1:] = ["", ""]
        self.onnx.checker.check_model(model)
        return model
