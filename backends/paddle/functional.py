"""``paddle.functional``: the function paddle.nn.functional.batch_norm, which updates the running statistics in place.

Source: https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/functional/batch_norm_en.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, List, Optional

from bnspec.backends.paddle.common import PaddleAdapter, PaddleLayer, data_format
from bnspec.contract import LayerConfig, State
from bnspec.model.call import Mode


class PaddleFunctional(PaddleAdapter):
    """The function over the case's own tensors."""

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> FunctionLayer:
        """The function's arguments, kept together."""
        return FunctionLayer(self.paddle, config, gamma, beta, State(running_mean, running_var))


class FunctionLayer(PaddleLayer):
    """The function's arguments other than x and the mode."""

    def __init__(
        self, paddle: Any, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running: State
    ) -> None:
        super().__init__(paddle)
        self.config, self.running = config, running
        self.weights = [] if gamma is None else [self.leaf(gamma), self.leaf(beta)]

    def forward(self, x: Any, mode: Mode) -> Any:
        """The function's result; what records gradients in inference is a training program with use_global_stats."""
        weight, bias = self.weights or (None, None)
        frozen = mode == "inference" and self.paddle.is_grad_enabled()
        return self.paddle.nn.functional.batch_norm(
            x,
            *self.running,
            weight,
            bias,
            training=mode == "training" or frozen,
            momentum=self.config.decay,
            epsilon=self.config.epsilon,
            data_format=data_format(self.config),
            use_global_stats=frozen or None,
        )

    def parameters(self) -> List[Any]:
        """weight and bias."""
        return self.weights

    def state(self) -> State:
        """The tensors that the function updates."""
        return self.running

    def set_decay(self, decay: float) -> None:
        """Pass another momentum from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)
