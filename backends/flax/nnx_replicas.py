"""``flax.nnx.replicas``: the module flax.nnx.BatchNorm with an axis name, on two host devices by ``jax.shard_map``, jitted.

Each device has half of the batch, which is axis 0, and the module averages its statistics over the devices: the result is that
of the whole batch. A batch of odd size is whole on each device.

Source: https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/normalization.html
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Dict, Optional, Tuple

from bnspec.backends.flax.common import FlaxAdapter, nnx_module, value_of
from bnspec.backends.jax.pure_layer import Functions, Parameters, PureLayer
from bnspec.backends.jax.replicas import AXIS, ReplicaAdapter
from bnspec.contract import Declined, LayerConfig, State
from bnspec.model.call import Mode


class FlaxNNXReplicas(ReplicaAdapter, FlaxAdapter):
    """The module, built with these variables on each device, with Flax's default computation of the variance: E[x^2] - E[x]^2."""

    conventions = dataclasses.replace(FlaxAdapter.conventions, channel_axes="first_and_last")

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.nnx = importlib.import_module("flax.nnx")
        self.jitted = ShardedFunctions(self).jitted("config")

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ShardedLayer:
        """A layer over these arrays."""
        return ShardedLayer(self, config, (gamma, beta), State(running_mean, running_var))

    def new_layer(self, config: LayerConfig) -> ShardedLayer:
        """A layer over the variables of the module as constructed."""
        return ShardedLayer(self, config, *arrays_of(self.module(config)))

    def module(self, config: LayerConfig) -> Any:
        """The module as constructed, with the axis name."""
        return nnx_module(self.nnx, config, axis_name=AXIS)


class ShardedLayer(PureLayer):
    """The variables of a module between its calls."""

    def __init__(self, owner: FlaxNNXReplicas, config: LayerConfig, parameters: Parameters, running: State) -> None:
        super().__init__(owner.jitted, parameters, running)
        self.owner, self.config = owner, config

    def settings(self) -> Dict[str, Any]:
        """The configuration, which is constant in what is compiled."""
        return {"config": self.config}

    def restored(self) -> PureLayer:
        """Raises Declined."""
        raise Declined("this is asked of the backend flax.nnx")

    def reset(self) -> None:
        """Raises Declined."""
        raise Declined("a Flax module has no such call")

    def set_decay(self, decay: float) -> None:
        """A module with another momentum from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


class ShardedFunctions(Functions):
    """The module's call on each device."""

    def __init__(self, owner: FlaxNNXReplicas) -> None:
        super().__init__(owner.jax)
        self.owner = owner

    def forward(
        self, x: Any, parameters: Parameters, running: State, *, mode: Mode, config: LayerConfig, mask: Any = None
    ) -> Tuple[Any, State]:
        """y of the whole batch, and the statistics, which are those of every device."""
        nnx, inference = self.owner.nnx, mode == "inference"

        def one(x: Any, mask: Any, parameters: Parameters, running: State) -> Tuple[Any, State]:
            module = self.owner.module(config)
            if config.affine:
                module.scale, module.bias = map(nnx.Param, parameters)
            module.mean, module.var = map(nnx.BatchStat, running)
            y = module(x, use_running_average=inference, mask=mask)
            return y, arrays_of(module)[1]

        return self.owner.mapped(one, x, mask, parameters, running)


def arrays_of(module: Any) -> Tuple[Parameters, State]:
    """A module's parameters and batch statistics."""
    scale, bias = (None if p is None else value_of(p) for p in (module.scale, module.bias))
    return (scale, bias), State(value_of(module.mean), value_of(module.var))
