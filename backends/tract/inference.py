"""``tract.opset9`` and ``tract.opset15``: ONNX models of one BatchNormalization node in tract. Inference only.

tract asks for parameters and statistics that are constants of the model, so each layer is a model of its own.

Source: https://docs.rs/tract-onnx
"""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import numpy as np

from bnspec.backends.onnx.common import CONVENTIONS, INPUTS, OnnxAdapter, Session, model_of
from bnspec.backends.tract.common import TractAdapter
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import Declined, LayerConfig, State


class TractOpset15(TractAdapter, OnnxAdapter):
    """Opset 15, with parameters and statistics of x's dtype."""

    opset = 15
    conventions = dataclasses.replace(
        CONVENTIONS, half_arithmetic="input", dtypes=("float64", "float32", "float16"), half_parameters=("input",)
    )

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> ConstantLayer:
        """The constants of the model, which is made when the layer is called."""
        if config.dtype != config.parameter_dtype:
            raise Declined("parameters have x's dtype here")
        return ConstantLayer(self, config, (gamma, beta, running_mean, running_var))


class TractOpset9(TractOpset15):
    """Opset 9."""

    opset = 9


class ConstantLayer(InferenceOnly):
    """One model with its parameters and statistics."""

    def __init__(self, owner: TractOpset15, config: LayerConfig, constants: Any) -> None:
        self.owner, self.config, self.constants = owner, config, constants
        self.session: Optional[Session] = None

    def inference(self, x: Any) -> Any:
        """y of the model."""
        if self.session is None:
            model = model_of(self.owner.onnx, self.owner.opset, self.config, "inference")
            helper = self.owner.onnx.numpy_helper
            for name, array in zip(INPUTS[1:], self.constants):
                model.graph.initializer.append(helper.from_array(np.ascontiguousarray(array), name))
            del model.graph.input[1:]
            self.session = self.owner.session(model)
        return self.session({"x": x})[0]

    def state(self) -> State:
        """The statistics that were given."""
        return State(*self.constants[2:])
