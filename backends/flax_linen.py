"""``flax.linen``: the module flax.linen.BatchNorm, whose variables the caller keeps; apply is jitted, as in a training step.

Compiled once per shape, dtype and module: axis, momentum and epsilon are fields of the module, so constants there.

Source: https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html#flax.linen.BatchNorm
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

from bnspec.backends.jax_common import JaxAdapter, JaxLayer
from bnspec.contract import Gradients, LayerConfig, Profile, State


class FlaxLinen(JaxAdapter):
    """``apply`` with mutable batch_stats in training, with the variance as Flax computes it unless told otherwise.

    Statistics are reduced in float32 at least. An empty batch's are 0/0, which nothing catches.
    """

    framework = "flax"
    profile = Profile(
        checks_arguments=True,
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
        from flax import linen

        self.flax, self.linen = flax, linen
        self.apply, self.apply_gradients = jitted_calls(self.jax)

    def versions(self) -> Dict[str, str]:
        """Flax, and the JAX below it."""
        return dict(super().versions(), flax=str(self.flax.__version__))

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ApplyLayer:
        """The module, and these arrays as its variables."""
        module = self.linen.BatchNorm(
            axis=config.channel_axis,
            momentum=config.decay,
            epsilon=config.epsilon,
            param_dtype=config.parameter_dtype,
            use_bias=config.affine,
            use_scale=config.affine,
        )
        parameters = {"scale": gamma, "bias": beta} if config.affine else {}
        return ApplyLayer(self, module, parameters, {"mean": running_mean, "var": running_var})


class ApplyLayer(JaxLayer):
    """A module with its parameters and the batch statistics of its last training step."""

    def __init__(self, owner: FlaxLinen, module: Any, parameters: Dict[str, Any], batch_stats: Dict[str, Any]) -> None:
        self.owner, self.module = owner, module
        self.parameters, self.batch_stats = parameters, batch_stats

    def forward(self, x: Any, mode: str) -> Any:
        """The module applied; a training step's batch statistics replace the old."""
        y, self.batch_stats = self.owner.apply(self.module, self.parameters, self.batch_stats, x, mode)
        return y

    def gradients(self, x: Any, dy: Any, mode: str) -> Gradients:
        """The module applied and its gradients; a training step's batch statistics replace the old."""
        arguments = (self.module, self.parameters, self.batch_stats, x, dy, mode)
        y, dx, parameters, self.batch_stats = self.owner.apply_gradients(*arguments)
        return Gradients(y, dx, parameters.get("scale"), parameters.get("bias"))

    def state(self) -> State:
        """The batch statistics."""
        return State(self.batch_stats["mean"], self.batch_stats["var"])


def jitted_calls(jax: Any) -> Tuple[Callable[..., Any], Callable[..., Any]]:
    """The module applied, and its vector-Jacobian product with dy; modules are hashable, so static arguments."""

    def apply(module: Any, parameters: Any, batch_stats: Any, x: Any, mode: str) -> Tuple[Any, Any]:
        variables = {"params": parameters, "batch_stats": batch_stats}
        if mode == "inference":
            return module.apply(variables, x, use_running_average=True), batch_stats
        y, updates = module.apply(variables, x, use_running_average=False, mutable=["batch_stats"])
        return y, updates["batch_stats"]

    def apply_gradients(module: Any, parameters: Any, batch_stats: Any, x: Any, dy: Any, mode: str) -> Any:
        def forward(x: Any, parameters: Any) -> Tuple[Any, Any]:
            return apply(module, parameters, batch_stats, x, mode)

        y, pullback, after = jax.vjp(forward, x, parameters, has_aux=True)
        return (y, *pullback(dy.astype(y.dtype)), after)

    static = ("module", "mode")
    return jax.jit(apply, static_argnames=static), jax.jit(apply_gradients, static_argnames=static)
