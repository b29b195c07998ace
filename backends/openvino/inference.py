"""``openvino``: the operation BatchNormInference of OpenVINO's opset 5, compiled for the CPU. Inference only.

Source: https://docs.openvino.ai/2026/documentation/openvino-ir-format/operation-sets/operation-specs/normalization/batch-norm-inference-5.html
"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from bnspec.backends.openvino.common import release
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import Adapter, Conventions, LayerConfig, State


class OpenVino(Adapter):
    """Models of one operation, in float32: the plugin's precision hint is set to it."""

    framework = "openvino"
    conventions = Conventions(
        momentum_weighs="none",
        dtypes=("float32",),
        ranks=(2, 3, 4, 5),
        channel_axes="first",
        layouts="normalised",
        mutable_tensors=False,
        affine_optional=False,
        gradient_modes=(),
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import openvino

        self.openvino, self.core = openvino, openvino.Core()
        self.models: Dict[LayerConfig, Any] = {}

    def versions(self) -> Dict[str, str]:
        """OpenVINO's version."""
        return {"openvino": release(self.openvino)}

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> CompiledLayer:
        """The model's inputs beside x."""
        if config not in self.models:
            self.models[config] = self.compiled(config)
        return CompiledLayer(self.models[config], gamma, beta, State(running_mean, running_var))

    def compiled(self, config: LayerConfig) -> Any:
        """The compiled model of the operation with open extents."""
        from openvino import opset5

        shape = [config.channels if axis == 1 else -1 for axis in range(config.rank)]
        x = opset5.parameter(shape, np.float32)
        others = [opset5.parameter([config.channels], np.float32) for _ in range(4)]
        y = opset5.batch_norm_inference(x, *others, config.epsilon)
        model = self.openvino.Model([y], [x, *others], "layer")
        return self.core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


class CompiledLayer(InferenceOnly):
    """One compiled model with its parameters."""

    def __init__(self, model: Any, gamma: Any, beta: Any, running: State) -> None:
        self.model, self.given, self.running = model, (gamma, beta, *running), running

    def inference(self, x: Any) -> Any:
        """The model's output, copied out of its memory."""
        return self.model([x, *self.given])[0].copy()

    def state(self) -> State:
        """The statistics that were given."""
        return self.running
