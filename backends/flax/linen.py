"""``flax.linen``, ``flax.linen.stable``, ``flax.linen.dtype`` and ``flax.linen.replicas``: the module flax.linen.BatchNorm, whose variables the caller
holds; apply is jitted, as in a training step.

Compiled once per shape, dtype and module: axis, momentum and epsilon are fields of the module, so constants there.

On replicas, jax.vmap with an axis name runs the module on two halves of the batch, and the module averages its statistics over
that axis: the result is that of the whole batch. A batch of odd size stays on one replica.

Source: https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html#flax.linen.BatchNorm
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, Dict, Optional, Tuple

from bnspec.backends.flax.common import FlaxAdapter
from bnspec.backends.jax.pure_layer import Functions, Parameters, PureLayer
from bnspec.contract import Declined, LayerConfig, State
from bnspec.model.call import Mode

#: The name of the replicas' axis.
AXIS = "replicas"
#: The field that chooses how the variance is computed.
FAST = "use_fast_variance"


class FlaxLinen(FlaxAdapter):
    """``apply`` with mutable batch_stats in training, with Flax's default computation of the variance.

    Statistics are reduced in float32 at least. For an empty batch they are 0/0, and Flax does not handle that.
    """

    fast_variance = True
    #: Whether the module's field ``dtype`` is x's; by default y's dtype follows from those of x and the parameters.
    own_dtype = False

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from flax import linen

        self.linen, self.fields = linen, {field.name for field in dataclasses.fields(linen.BatchNorm)}
        if not self.fast_variance and FAST not in self.fields:
            raise ImportError("this release computes the variance in one way: BatchNorm has no %s" % FAST)
        self.jitted = ApplyFunctions(self.jax).jitted("module")

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ApplyLayer:
        """The module, with these arrays as its variables."""
        return ApplyLayer(self, self.module(config), (gamma, beta), State(running_mean, running_var))

    def new_layer(self, config: LayerConfig) -> ApplyLayer:
        """The module, with the variables from its init."""
        module, x = self.module(config), self.jax.numpy.zeros(config.channel_shape, config.dtype)
        key = self.jax.random.PRNGKey(0)
        return ApplyLayer(self, module, *arrays_of(module.init(key, x, use_running_average=False)))

    def module(self, config: LayerConfig) -> Any:
        """The module as constructed."""
        options: Dict[str, Any] = {
            "param_dtype": config.parameter_dtype,
            FAST: self.fast_variance,
        }  # not in every release
        if self.own_dtype:
            options["dtype"] = config.dtype
        return self.linen.BatchNorm(
            axis=config.channel_axis,
            momentum=config.decay,
            epsilon=config.epsilon,
            use_bias=config.affine,
            use_scale=config.affine,
            **{name: value for name, value in options.items() if name in self.fields},
        )


class FlaxLinenStable(FlaxLinen):
    """The same with ``use_fast_variance=False``: the variance is E[(x - E[x])^2]."""

    fast_variance = False


class FlaxLinenDtype(FlaxLinenStable):
    """The same with ``dtype``, documented as the dtype of the result, set to x's, as for training in half precision."""

    own_dtype = True
    conventions = dataclasses.replace(FlaxAdapter.conventions, output_dtype="input")


class FlaxLinenReplicas(FlaxLinen):
    """The module with ``axis_name``; the batch is axis 0."""

    conventions = dataclasses.replace(FlaxAdapter.conventions, channel_axes="first_and_last")

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.jitted = ReplicaFunctions(self.jax).jitted("module")

    def module(self, config: LayerConfig) -> Any:
        """The module with the replicas' axis."""
        return super().module(config).clone(axis_name=AXIS)

    def new_layer(self, config: LayerConfig) -> Any:
        """Raises Declined: init runs outside the replicas' axis."""
        raise Declined("the module's init is not run on replicas here")


class ApplyLayer(PureLayer):
    """A module with its parameters and the batch statistics of its last training step."""

    def __init__(self, owner: FlaxLinen, module: Any, parameters: Parameters, running: State) -> None:
        super().__init__(owner.jitted, parameters, running)
        self.owner, self.module = owner, module

    def settings(self) -> Dict[str, Any]:
        """The module."""
        return {"module": self.module}

    def restored(self) -> ApplyLayer:
        """The same module, with its variables serialized to Flax's bytes and back."""
        from flax import serialization

        variables = variables_of(self.parameters, self.running)
        try:
            data = serialization.to_bytes(variables)
        except AttributeError as error:  # Flax asks for a name that the JAX beside it no longer has
            raise Declined("this Flax and this JAX do not go together: %s" % error) from error
        return ApplyLayer(self.owner, self.module, *arrays_of(serialization.from_bytes(variables, data)))

    def reset(self) -> None:
        """Raises Declined."""
        raise Declined(
            "a Flax module has no such call: init makes new variables, and which of them are used is the user's"
        )

    def set_decay(self, decay: float) -> None:
        """A clone of the module with another momentum."""
        self.module = self.module.clone(momentum=decay)


class ApplyFunctions(Functions):
    """The module's apply; modules are hashable and passed as static arguments."""

    def forward(
        self, x: Any, parameters: Parameters, running: State, *, mode: Mode, module: Any, mask: Any = None
    ) -> Tuple[Any, State]:
        """y, and the updated batch statistics."""
        variables = variables_of(parameters, running)
        if mode == "inference":
            return module.apply(variables, x, use_running_average=True), running
        options = {} if mask is None else {"mask": mask}
        if options and "mask" not in inspect.signature(type(module).__call__).parameters:
            raise Declined("this release's BatchNorm takes no mask")
        y, updates = module.apply(variables, x, use_running_average=False, mutable=["batch_stats"], **options)
        return y, State(**{"running_" + name: array for name, array in updates["batch_stats"].items()})


class ReplicaFunctions(ApplyFunctions):
    """The module's apply on each replica."""

    def forward(
        self, x: Any, parameters: Parameters, running: State, *, mode: Mode, module: Any, mask: Any = None
    ) -> Tuple[Any, State]:
        """y of the whole batch, and the statistics, which are those of every replica."""
        replicas = 2 if len(x) and not len(x) % 2 else 1
        one = super().forward

        def split(array: Any) -> Any:
            if array is None or not array.size:
                return array if array is None else array[None]
            return array.reshape(replicas, -1, *array.shape[1:])

        called = lambda x, mask: one(x, parameters, running, mode=mode, module=module, mask=mask)
        y, after = self.jax.vmap(called, axis_name=AXIS, in_axes=(0, None if mask is None else 0))(
            split(x), split(mask)
        )
        return y.reshape(x.shape), State(*(statistic[0] for statistic in after))


def variables_of(parameters: Parameters, running: State) -> Dict[str, Any]:
    """The arrays in Flax's variable tree."""
    named = {n: p for n, p in zip(("scale", "bias"), parameters) if p is not None}
    return {"params": named, "batch_stats": {"mean": running.running_mean, "var": running.running_var}}


def arrays_of(variables: Any) -> Tuple[Parameters, State]:
    """The inverse of ``variables_of``."""
    named, statistics = variables.get("params", {}), variables["batch_stats"]
    return (named.get("scale"), named.get("bias")), State(statistics["mean"], statistics["var"])
