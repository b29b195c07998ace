"""``flax.nnx``: the module flax.nnx.BatchNorm, called under nnx.jit as in a training loop.

nnx.jit compiles once per shape and dtype, and again for every other epsilon or momentum: both are constants there.

Source: https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/normalization.html
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from bnspec.backends.flax_network import FlaxNetwork
from bnspec.backends.jax_common import JaxAdapter, JaxLayer
from bnspec.case import PARAMETERS
from bnspec.contract import Gradients, LayerConfig, Profile, State

MODES = {"training": "train", "inference": "eval"}


class FlaxNNX(JaxAdapter):
    """Modules in train() and eval(), with the variance as Flax computes it unless told otherwise."""

    framework = "flax"
    profile = Profile(
        running_correction=0,
        momentum_weighs="old",
        default_epsilon=1e-5,
        default_decay=0.99,
        state_dtype="float32",
        count_one="biased",
        empty_batch="unspecified",
        output_dtype="promoted",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32",),
        ranks=(2, 3, 4, 5, 6),
        layouts="normalised",
        mutable_tensors=False,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import flax
        from flax import nnx

        self.flax, self.nnx = flax, nnx
        self.call, self.call_gradients = jitted_calls(self.jax.numpy, nnx)

    def versions(self) -> Dict[str, str]:
        """Flax, and the JAX below it."""
        return dict(super().versions(), flax=str(self.flax.__version__))

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module with its variables replaced by these arrays, as from a checkpoint."""
        module = self.nnx.BatchNorm(
            config.channels,
            axis=config.channel_axis,
            momentum=config.decay,
            epsilon=config.epsilon,
            param_dtype=config.parameter_dtype,
            use_bias=config.affine,
            use_scale=config.affine,
            rngs=self.nnx.Rngs(0),
        )
        if config.affine:
            module.scale, module.bias = self.nnx.Param(gamma), self.nnx.Param(beta)
        module.mean, module.var = self.nnx.BatchStat(running_mean), self.nnx.BatchStat(running_var)
        return ModuleLayer(module, self.call, self.call_gradients)

    def network(self, kind: str, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]) -> FlaxNetwork:
        """Modules around this adapter's module."""
        layer = self.layer(config, *(values[n] for n in PARAMETERS))
        return FlaxNetwork(self.nnx, kind, layer.module, learning_rate, values)


class ModuleLayer(JaxLayer):
    """One ``flax.nnx.BatchNorm``, which keeps its own state."""

    def __init__(self, module: Any, call: Callable[..., Any], call_gradients: Callable[..., Any]) -> None:
        self.module, self.call, self.call_gradients = module, call, call_gradients

    def forward(self, x: Any, mode: str) -> Any:
        """The module's call in train() or eval()."""
        getattr(self.module, MODES[mode])()
        return self.call(self.module, x)

    def gradients(self, x: Any, dy: Any, mode: str) -> Gradients:
        """The module's call and its gradients in train() or eval()."""
        getattr(self.module, MODES[mode])()
        return self.call_gradients(self.module, x, dy)

    def state(self) -> State:
        """The module's batch statistics."""
        return State(self.module.mean[...], self.module.var[...])


def jitted_calls(jnp: Any, nnx: Any) -> Tuple[Callable[..., Any], Callable[..., Any]]:
    """The module's call, and its gradients by nnx.value_and_grad of sum(y * dy), whose cotangent for y is dy."""

    @nnx.jit
    def call(module: Any, x: Any) -> Any:
        return module(x)

    @nnx.jit
    def call_gradients(module: Any, x: Any, dy: Any) -> Gradients:
        def loss(module: Any, x: Any) -> Tuple[Any, Any]:
            y = module(x)
            return jnp.sum(y * dy), y

        (_, y), (parameters, dx) = nnx.value_and_grad(loss, argnums=(0, 1), has_aux=True)(module, x)
        if module.scale is None:
            return Gradients(y, dx, None, None)
        return Gradients(y, dx, parameters["scale"][...], parameters["bias"][...])

    return call, call_gradients
