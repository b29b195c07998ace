"""Shared by the Flax adapters: Flax on JAX's devices, and the conventions of its two modules."""

from __future__ import annotations

import importlib
from typing import Any, Dict

from bnspec.backends.jax.common import JaxAdapter
from bnspec.contract import Conventions, LayerConfig


class FlaxAdapter(JaxAdapter):
    """Flax on one device. Subclasses define ``layer``."""

    framework = "flax"
    conventions = Conventions(
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
        integers=True,
    )

    def versions(self) -> Dict[str, str]:
        """Versions of Flax and of JAX."""
        return dict(super().versions(), flax=str(importlib.import_module("flax").__version__))


def nnx_module(nnx: Any, config: LayerConfig, **options: Any) -> Any:
    """A ``flax.nnx.BatchNorm`` as constructed; ``options``: further arguments."""
    return nnx.BatchNorm(
        config.channels,
        axis=config.channel_axis,
        momentum=config.decay,
        epsilon=config.epsilon,
        param_dtype=config.parameter_dtype,
        use_bias=config.affine,
        use_scale=config.affine,
        rngs=nnx.Rngs(0),
        **options,
    )


def value_of(variable: Any) -> Any:
    """The array of a variable, or of its gradient; before Flax 0.11 some of them took no index."""
    return variable[...] if hasattr(type(variable), "__getitem__") else variable.value
