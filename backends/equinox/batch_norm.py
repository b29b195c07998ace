"""``equinox.batch`` and ``equinox.ema``: the module equinox.nn.BatchNorm in its two modes, under jax.vmap and jax.jit.

The module is called for one sample; jax.vmap gives the batch a name, over which the module averages. Mode "ema" normalises in
training by the running statistics after their update, and says so.

Source: https://docs.kidger.site/equinox/api/nn/normalisation/
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, Dict, NamedTuple, Optional, Tuple

from bnspec.backends.jax.common import JaxAdapter
from bnspec.backends.jax.pure_layer import Functions, Jitted, Parameters, PureLayer
from bnspec.contract import Conventions, Declined, Gradients, LayerConfig, State
from bnspec.model.call import Mode

#: Steps of a layer that is given statistics: so many that 1 - decay^steps is 1.
MANY = 2**30
#: The mode of releases that have no modes.
ONLY = "ema"


class Running(NamedTuple):
    """The module's state: its two arrays, and the number of steps (mode "batch") or whether there was none (mode "ema")."""

    mean: Any
    var: Any
    counted: Any


class EquinoxBatch(JaxAdapter):
    """Mode "batch": normalises by the batch; inference divides the averages by 1 - momentum^steps."""

    framework = "equinox"
    mode = "batch"
    conventions = Conventions(
        running_correction=0,
        momentum_weighs="old",
        default_epsilon=1e-5,
        default_decay=0.99,
        first_batch="debiased",
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        output_dtype="promoted",
        ranks=(2, 3, 4, 5, 6),
        channel_axes="first",
        layouts="normalised",
        mutable_tensors=False,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import equinox

        self.equinox, self.options = equinox, set(inspect.signature(equinox.nn.BatchNorm.__init__).parameters)
        if self.mode != ONLY and "mode" not in self.options:
            raise ImportError("this release has no mode %r: BatchNorm has one way" % self.mode)
        self.jitted = ModuleFunctions(self).jitted("config")

    def versions(self) -> Dict[str, str]:
        """Versions of Equinox and of JAX."""
        return dict(super().versions(), equinox=str(self.equinox.__version__))

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module with these arrays, as after many steps."""
        counted = self.jax.numpy.array(MANY if self.mode == "batch" else False)
        return ModuleLayer(self.jitted, config, (gamma, beta), Running(running_mean, running_var, counted))

    def new_layer(self, config: LayerConfig) -> ModuleLayer:
        """The module as constructed."""
        module, state = self.module(config)
        arrays, counted = (state.get(index) for index in self.indices(module))
        return ModuleLayer(self.jitted, config, (module.weight, module.bias), Running(arrays[0], arrays[1], counted))

    def module(self, config: LayerConfig) -> Tuple[Any, Any]:
        """A new module and its state."""
        check_momentum(config.decay)
        nn, dtype = self.equinox.nn, self.jax.numpy.dtype(config.parameter_dtype)
        numbers = {"eps": config.epsilon, "momentum": config.decay, "channelwise_affine": config.affine}
        options = {name: value for name, value in (("dtype", dtype), ("mode", self.mode)) if name in self.options}
        if "dtype" not in options and dtype != self.jax.numpy.zeros(()).dtype:
            raise Declined("this release's statistics have JAX's default dtype")
        if hasattr(nn, "make_with_state"):
            return nn.make_with_state(nn.BatchNorm)(config.channels, "batch", **options, **numbers)
        module = nn.BatchNorm(config.channels, "batch", **options, **numbers)
        return module, nn.State(module)

    def indices(self, module: Any) -> Tuple[Any, Any]:
        """Where a module's state keeps its arrays, and what it counts."""
        return module.batch_state_index, module.batch_counter


class EquinoxEma(EquinoxBatch):
    """Mode "ema": the first batch replaces the statistics, and training normalises by the running ones."""

    mode = "ema"
    conventions = dataclasses.replace(EquinoxBatch.conventions, first_batch="replace", initial_var=0.0)

    def indices(self, module: Any) -> Tuple[Any, Any]:
        """Where a module's state keeps its arrays, and what it counts."""
        if "mode" not in self.options:
            return module.state_index, module.first_time_index
        return module.ema_state_index, module.ema_first_time_index


class ModuleFunctions(Functions):
    """The module as a pure function of its arrays."""

    def __init__(self, owner: EquinoxBatch) -> None:
        super().__init__(owner.jax)
        self.owner = owner

    def forward(
        self, x: Any, parameters: Parameters, running: Running, *, mode: Mode, config: LayerConfig
    ) -> Tuple[Any, Running]:
        """y, and the state after it."""
        module, state = self.owner.module(config)
        if config.affine:
            module = self.owner.equinox.tree_at(lambda m: (m.weight, m.bias), module, parameters)
        arrays, counted = self.owner.indices(module)
        state = state.set(arrays, (running.mean, running.var)).set(counted, running.counted)
        called = lambda x, state: module(x, state, inference=mode == "inference")
        y, state = self.jax.vmap(called, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)
        mean, var = state.get(arrays)
        return y, Running(mean, var, state.get(counted))


class ModuleLayer(PureLayer):
    """One module's arrays."""

    def __init__(self, jitted: Jitted, config: LayerConfig, parameters: Parameters, running: Running) -> None:
        super().__init__(jitted, parameters, State(None, None))
        self.config, self.running = config, running  # type: ignore[assignment]

    def settings(self) -> Dict[str, Any]:
        """The configuration."""
        return {"config": self.config}

    def state(self) -> State:
        """The statistics that inference uses: in mode "batch" divided by 1 - momentum^steps."""
        mean, var, counted = self.running  # type: ignore[misc]
        steps = int(counted)
        if counted.dtype == bool or steps in (0, MANY):
            return State(mean, var)
        scale = 1.0 - self.config.decay**steps
        return State(mean / scale, var / scale)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """Raises Declined."""
        raise Declined("this layer takes no mask")

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Raises Declined."""
        raise Declined("this layer takes no mask")

    def set_decay(self, decay: float) -> None:
        """A module with another momentum."""
        check_momentum(decay)
        self.config = dataclasses.replace(self.config, decay=decay)


def check_momentum(momentum: float) -> None:
    """Raises Declined: Equinox documents the open interval."""
    if not 0.0 < momentum < 1.0:
        raise Declined("Equinox asks for a momentum between 0 and 1")
