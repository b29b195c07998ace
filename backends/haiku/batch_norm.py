"""``haiku``: the module haiku.BatchNorm, transformed with its state, under jax.jit.

    haiku.replicas   the same with ``cross_replica_axis``, on two host devices by ``jax.shard_map``

The averages are debiased: what inference uses is hidden / (1 - decay^steps). Of two devices each has half of the batch, which is
axis 0, and the module averages its moments over them: the result is that of the whole batch. A batch of odd size is whole on
each device.

Source: https://dm-haiku.readthedocs.io/en/latest/api.html#batchnorm
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, NamedTuple, Optional, Tuple

from bnspec.backends.jax.common import JaxAdapter
from bnspec.backends.jax.pure_layer import Functions, Jitted, Parameters, PureLayer
from bnspec.backends.jax.replicas import AXIS, ReplicaAdapter
from bnspec.contract import Conventions, Declined, Gradients, LayerConfig, State
from bnspec.model.call import Mode

#: Steps of a layer that is given statistics: so many that 1 - decay^steps is 1.
MANY = 2**30
#: The names under which Haiku keeps the module's parameters and the states of its two averages.
NAME, MEAN, VAR = "batch_norm", "batch_norm/~/mean_ema", "batch_norm/~/var_ema"


class Running(NamedTuple):
    """The averages that inference uses, the undivided ones, and the steps."""

    average: State
    hidden: State
    counter: Any


class Haiku(JaxAdapter):
    """The module with channels first or last."""

    framework = "haiku"
    conventions = Conventions(
        running_correction=0,
        momentum_weighs="old",
        default_epsilon=1e-5,
        default_decay=0.9,
        initial_var=0.0,
        state_dtype="input",
        first_batch="debiased",
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("input",),
        ranks=(2, 3, 4, 5, 6),
        channel_axes="first_and_last",
        layouts="normalised",
        mutable_tensors=False,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import haiku

        self.haiku = haiku
        #: Further arguments of the module.
        self.form_options: Dict[str, Any] = {}
        self.jitted = TransformedFunctions(self).jitted("config")

    def versions(self) -> Dict[str, str]:
        """Versions of Haiku and of JAX."""
        return dict(super().versions(), haiku=str(self.haiku.__version__))

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> TransformedLayer:
        """The module with these arrays, as after many steps."""
        check_decay(config.decay)
        given, steps = State(running_mean, running_var), self.jax.numpy.array(MANY, "int32")
        return TransformedLayer(self.jitted, config, (gamma, beta), Running(given, given, steps))


class HaikuReplicas(ReplicaAdapter, Haiku):
    """The module on each device."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.form_options = {"cross_replica_axis": AXIS}
        self.jitted = ReplicaFunctions(self).jitted("config")


class TransformedFunctions(Functions):
    """The module's apply."""

    def __init__(self, owner: Any) -> None:
        super().__init__(owner.jax)
        self.owner = owner

    def forward(
        self, x: Any, parameters: Parameters, running: Running, *, mode: Mode, config: LayerConfig
    ) -> Tuple[Any, Running]:
        """y, and the state after it."""
        haiku = self.owner.haiku

        def wide(array: Any) -> Any:
            return array.reshape(config.channel_shape)

        def called(x: Any) -> Any:
            place = "channels_first" if config.channel_axis == 1 else "channels_last"
            options = {"data_format": place, **self.owner.form_options}
            module = haiku.BatchNorm(config.affine, config.affine, config.decay, config.epsilon, **options)
            return module(x, is_training=mode == "training")

        named = dict(zip(("scale", "offset"), map(wide, parameters))) if config.affine else {}
        state = {
            name: {"average": wide(average), "hidden": wide(hidden), "counter": running.counter}
            for name, average, hidden in zip((MEAN, VAR), running.average, running.hidden)
        }
        y, after = haiku.transform_with_state(called).apply({NAME: named} if named else {}, state, None, x)
        average, hidden = (State(*(after[n][kind].reshape(-1) for n in (MEAN, VAR))) for kind in ("average", "hidden"))
        return y, Running(average, hidden, after[MEAN]["counter"])


class ReplicaFunctions(TransformedFunctions):
    """The module's apply on each device's rows."""

    def forward(
        self, x: Any, parameters: Parameters, running: Running, *, mode: Mode, config: LayerConfig
    ) -> Tuple[Any, Running]:
        """y of the whole batch, and the state after it, which is that of every device."""
        one = super().forward

        def on_device(x: Any, _: None, parameters: Parameters, running: Running) -> Tuple[Any, Running]:
            return one(x, parameters, running, mode=mode, config=config)

        return self.owner.mapped(on_device, x, None, parameters, running)


class TransformedLayer(PureLayer):
    """The module's arrays."""

    def __init__(self, jitted: Jitted, config: LayerConfig, parameters: Parameters, running: Running) -> None:
        super().__init__(jitted, parameters, running.average)
        self.config, self.running = config, running  # type: ignore[assignment]

    def settings(self) -> Dict[str, Any]:
        """The configuration."""
        return {"config": self.config}

    def state(self) -> State:
        """The averages that inference uses."""
        return self.running.average  # type: ignore[attr-defined]

    def training_masked(self, x: Any, mask: Any) -> Any:
        """Raises Declined."""
        raise Declined("this layer takes no mask")

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Raises Declined."""
        raise Declined("this layer takes no mask")

    def set_decay(self, decay: float) -> None:
        """A module with another decay."""
        check_decay(decay)
        self.config = dataclasses.replace(self.config, decay=decay)


def check_decay(decay: float) -> None:
    """Raises Declined: a debiased average divides by 1 - decay^steps."""
    if decay >= 1.0:
        raise Declined("Haiku asks for a decay below 1")
