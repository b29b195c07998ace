"""Layer normalization in JAX: written with jax.numpy, or Flax's module; jitted, differentiated by JAX."""

from __future__ import annotations

from typing import Any, Callable, Dict

from bnspec.contract import Gradients, LayerConfig, LayerNorm

#: y of (x, gamma, beta, epsilon).
Forward = Callable[..., Any]


class WrittenLayerNorm(LayerNorm):
    """gamma, beta and epsilon, with the jitted functions from ``written``."""

    def __init__(self, jitted: Dict[str, Any], config: LayerConfig, gamma: Any, beta: Any) -> None:
        self.jitted, self.given = jitted, (gamma, beta, config.epsilon)

    def training(self, x: Any) -> Any:
        """y."""
        return self.jitted["output"](x, *self.given)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """y and the gradients."""
        return self.jitted["gradients"](x, dy, *self.given)


def written(jax: Any) -> Dict[str, Any]:
    """Output and gradients of layer normalization with jax.numpy, jitted; computed in x's precision, at least float32."""
    jnp = jax.numpy

    def output(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        z = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean = jnp.mean(z, -1, keepdims=True)
        var = jnp.mean(jnp.square(z - mean), -1, keepdims=True)
        y = (z - mean) / jnp.sqrt(var + epsilon)
        return (y * gamma.astype(z.dtype) + beta.astype(z.dtype)).astype(x.dtype)

    def gradients(x: Any, dy: Any, gamma: Any, beta: Any, epsilon: float) -> Gradients:
        y, pull = jax.vjp(lambda x, gamma, beta: output(x, gamma, beta, epsilon), x, gamma, beta)
        return Gradients(y, *pull(dy))

    return {"output": jax.jit(output), "gradients": jax.jit(gradients)}


class ModuleLayerNorm(LayerNorm):
    """One ``flax.nnx.LayerNorm`` over these arrays, called under nnx.jit."""

    def __init__(self, nnx: Any, calls: Dict[str, Any], config: LayerConfig, gamma: Any, beta: Any) -> None:
        self.calls = calls
        self.module = nnx.LayerNorm(
            config.channels, epsilon=config.epsilon, param_dtype=config.parameter_dtype, rngs=nnx.Rngs(0)
        )
        self.module.scale, self.module.bias = nnx.Param(gamma), nnx.Param(beta)

    def training(self, x: Any) -> Any:
        """The module's call."""
        return self.calls["output"](self.module, x)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """The module's call and its gradients."""
        return self.calls["gradients"](self.module, x, dy)
