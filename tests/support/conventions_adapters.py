"""Example layers, one per convention: each differs from the plain layer in one convention."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from initial_state_layers import FrozenIsConstants, StartsAtOne, StartsWide, StateInFloat32, new_layer

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainAdapter, PlainScaler
from bnspec.contract import Declined, Gradients
from bnspec.model.conventions import HALVES, Conventions

Array = Any
PLAIN = PlainAdapter.conventions
EPSILON_MINIMUM, INPUT_EPSILON = 1.001e-5, 1e-5


class BiasedRunning(PlainLayer):
    """running_correction 0."""

    def corrected(self, var: Array, count: int) -> Array:
        """As it is."""
        return var


class UnbiasedNormalising(PlainLayer):
    """normalising_correction 1."""

    def training_statistics(self, x: Array) -> tuple[Array, Array]:
        """The variance with divisor m - 1, for the output alone."""
        mean, var = self.moments(x)
        return mean, self.corrected(var, self.count(x))


class DecayWeighsNew(PlainLayer):
    """Breaks the contract's rule for the decay."""

    def update(self, x: Array) -> None:
        """With decay and 1 - decay exchanged."""
        given = self.config
        self.config = dataclasses.replace(given, decay=1.0 - given.decay)
        super().update(x)
        self.config = given


class DecayInFloat32(PlainLayer):
    """decay_dtype float32."""

    def __init__(self, config: Any, *arrays: Any) -> None:
        super().__init__(dataclasses.replace(config, decay=float(np.float32(config.decay))), *arrays)


class MomentumInFloat32(PlainLayer):
    """decay_dtype float32, of a number that weighs the new value."""

    def __init__(self, config: Any, *arrays: Any) -> None:
        super().__init__(dataclasses.replace(config, decay=1.0 - float(np.float32(1.0 - config.decay))), *arrays)


class EpsilonInFloat32(PlainLayer):
    """epsilon_dtype float32."""

    def __init__(self, config: Any, *arrays: Any) -> None:
        super().__init__(dataclasses.replace(config, epsilon=float(np.float32(config.epsilon))), *arrays)


class LeastEpsilon(PlainLayer):
    """epsilon_minimum 1.001e-5."""

    def __init__(self, config: Any, *arrays: Any) -> None:
        super().__init__(dataclasses.replace(config, epsilon=max(config.epsilon, EPSILON_MINIMUM)), *arrays)


class FirstReplaces(PlainLayer):
    """first_batch replace."""

    moved = 0

    def update(self, x: Array) -> None:
        """The first one without the old state."""
        given = self.config
        if self.moved == 0:
            self.config = dataclasses.replace(given, decay=0.0)
        super().update(x)
        self.config, self.moved = given, self.moved + 1


class FirstDebiased(PlainLayer):
    """first_batch debiased: a hidden average from 0, divided by 1 - decay^steps."""

    hidden: tuple[Array, Array] = (0.0, 0.0)
    moved = 0

    def update(self, x: Array) -> None:
        """Moves the hidden average; stores the quotients."""
        mean, var = self.moments(x)
        d, self.moved = self.config.decay, self.moved + 1
        new = mean, self.corrected(var, self.count(x))
        self.hidden = tuple(d * h + (1.0 - d) * n for h, n in zip(self.hidden, new, strict=True))  # type: ignore[assignment]
        self.store(*(h / (1.0 - d**self.moved) for h in self.hidden))


class CountOneRaises(PlainLayer):
    """count_one raises."""

    def training(self, x: Array) -> Array:
        """Not on one value."""
        if self.count(x) == 1:
            raise ValueError("one value has no variance")
        return super().training(x)


class CountOneIsNaN(PlainLayer):
    """count_one unspecified."""

    def corrected(self, var: Array, count: int) -> Array:
        """0 / 0."""
        return super().corrected(var, count) if count > 1 else var * np.nan


class EmptyRaises(PlainLayer):
    """empty_batch raises."""

    def training(self, x: Array) -> Array:
        """Not on nothing."""
        if x.size == 0:
            raise ValueError("an empty batch")
        return super().training(x)


class EmptyIsNaN(PlainLayer):
    """empty_batch unspecified."""

    def training(self, x: Array) -> Array:
        """The mean of nothing."""
        if x.size == 0:
            self.mean[:] = np.nan
        return super().training(x)


class HalfStatistics(PlainLayer):
    """half_statistics input: sums one after the other in x's own dtype."""

    def kind(self) -> Any:
        """The dtype of the sums."""
        from bnspec.model.buffers import dtype_of

        return dtype_of(self.config.dtype)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Rounded to the dtype at every step."""
        if self.config.dtype not in HALVES:
            return super().moments(x)
        flat = np.moveaxis(x, self.config.channel_axis, -1).reshape(-1, self.config.channels).astype(self.kind())
        mean = np.add.accumulate(flat, axis=0)[-1] / self.kind().type(len(flat))
        squares = np.square(flat - mean)
        var = np.add.accumulate(squares, axis=0)[-1] / self.kind().type(len(flat))
        shape = self.config.channel_shape
        return mean.astype(self.work).reshape(shape), var.astype(self.work).reshape(shape)


class ParameterStatistics(HalfStatistics):
    """half_statistics parameters."""

    def kind(self) -> Any:
        """The parameters' dtype."""
        return self.mean.dtype


class HalfArithmetic(PlainLayer):
    """half_arithmetic input: every step of the output is rounded to x's own dtype."""

    def kind(self) -> Any:
        """The dtype of the steps."""
        from bnspec.model.buffers import dtype_of

        return dtype_of(self.config.dtype)

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        """Rounded to the dtype at every step."""
        if self.config.dtype not in HALVES:
            return super().output(x, mean, inv_std)
        x, mean, inv_std, gamma, beta = (a.astype(self.kind()) for a in (x, mean, inv_std, self.gamma(), self.beta()))
        return (x - mean) * inv_std * gamma + beta


class ParameterArithmetic(HalfArithmetic):
    """half_arithmetic parameters."""

    def kind(self) -> Any:
        """The parameters' dtype."""
        return self.mean.dtype


class Promotes(PlainLayer):
    """output_dtype promoted."""

    def promoted(self, y: Array) -> Array:
        """y in the wider dtype of x and the parameters."""
        return y.astype(np.promote_types(y.dtype, self.mean.dtype))

    def training(self, x: Array) -> Array:
        """Promoted."""
        return self.promoted(super().training(x))

    def inference(self, x: Array) -> Array:
        """Promoted."""
        return self.promoted(super().inference(x))


class SumsByStride(PlainLayer):
    """layouts strided: a batch that is not packed is summed in another order."""

    def values(self, array: Array) -> Array:
        """A strided batch keeps its strides."""
        return array if array.dtype == self.work else super().values(array)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """From the back, if strided."""
        if x.flags.c_contiguous:
            return super().moments(x)
        mean = np.add.accumulate(x[::-1], axis=0)[-1:] / len(x)
        return mean, np.add.accumulate(np.square(x - mean)[::-1], axis=0)[-1:] / len(x)


class AddsEpsilon(PlainScaler):
    """input_epsilon 1e-5."""

    def scale(self) -> Array:
        """With it under the root."""
        return np.sqrt(self.var + self.work.type(INPUT_EPSILON))


class Refuses(PlainLayer):
    """Raises for one form of a layer, which ``refused`` describes."""

    def __init__(self, config: Any, *arrays: Any) -> None:
        if self.refused(config):
            raise ValueError("not implemented")
        super().__init__(config, *arrays)

    def refused(self, config: Any) -> bool:
        """Nothing."""
        return False


class NoFloat16(Refuses):
    """dtypes without float16."""

    def refused(self, config: Any) -> bool:
        """float16."""
        return config.dtype == "float16"


class NoHalfParameters(Refuses):
    """half_parameters float32 alone."""

    def refused(self, config: Any) -> bool:
        """Half-precision parameters."""
        return config.parameter_dtype in HALVES


class NoRankFive(Refuses):
    """ranks up to 4."""

    def refused(self, config: Any) -> bool:
        """Five axes."""
        return config.rank == 5


class FirstAxisOnly(Refuses):
    """channel_axes first."""

    def refused(self, config: Any) -> bool:
        """Any other axis."""
        return config.channel_axis != 1


class LastAxisOnly(Refuses):
    """channel_axes last."""

    def refused(self, config: Any) -> bool:
        """Any other axis."""
        return config.channel_axis != config.rank - 1


class AlwaysAffine(Refuses):
    """affine_optional false."""

    def refused(self, config: Any) -> bool:
        """No gamma and beta."""
        return not config.affine


class TrainsAlone(PlainLayer):
    """gradient_modes training alone."""

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        """None."""
        raise Declined("no gradients in inference")


@dataclasses.dataclass(frozen=True)
class Example:
    """A layer or scaler with a non-default convention: its field and value."""

    field: str
    value: Any
    layer: type = PlainLayer
    scaler: type = PlainScaler

    @property
    def name(self) -> str:
        return (self.layer if self.layer is not PlainLayer else self.scaler).__name__

    @property
    def conventions(self) -> Conventions:
        """The conventions that such a backend declares."""
        known = {f.name for f in dataclasses.fields(Conventions)}
        return dataclasses.replace(PLAIN, **({self.field: self.value} if self.field in known else {}))

    def adapter(self, declared: Conventions) -> type[PlainAdapter]:
        """The backend, declaring this."""
        parts = {"layer_class": self.layer, "scaler_class": self.scaler, "conventions": declared}
        if hasattr(self.layer, "begins"):
            parts["new_layer"] = new_layer
        return type(self.name, (PlainAdapter,), parts)


EXAMPLES = (
    Example("running_correction", 0, BiasedRunning),
    Example("normalising_correction", 1, UnbiasedNormalising),
    Example("decay_weighs", "new", DecayWeighsNew),
    Example("decay_dtype", "float32", DecayInFloat32),
    Example("decay_dtype", "float32", MomentumInFloat32),
    Example("epsilon_dtype", "float32", EpsilonInFloat32),
    Example("epsilon_minimum", EPSILON_MINIMUM, LeastEpsilon),
    Example("first_batch", "replace", FirstReplaces),
    Example("first_batch", "debiased", FirstDebiased),
    Example("count_one", "raises", CountOneRaises),
    Example("count_one", "unspecified", CountOneIsNaN),
    Example("empty_batch", "raises", EmptyRaises),
    Example("empty_batch", "unspecified", EmptyIsNaN),
    Example("half_statistics", "input", HalfStatistics),
    Example("half_statistics", "parameters", ParameterStatistics),
    Example("half_arithmetic", "input", HalfArithmetic),
    Example("half_arithmetic", "parameters", ParameterArithmetic),
    Example("output_dtype", "promoted", Promotes),
    Example("dtypes", ("float64", "float32", "bfloat16"), NoFloat16),
    Example("half_parameters", ("float32",), NoHalfParameters),
    Example("ranks", (2, 3, 4), NoRankFive),
    Example("channel_axes", "first", FirstAxisOnly),
    Example("channel_axes", "last", LastAxisOnly),
    Example("layouts", "strided", SumsByStride),
    Example("affine_optional", False, AlwaysAffine),
    Example("gradient_modes", ("training",), TrainsAlone),
    Example("input_epsilon", INPUT_EPSILON, scaler=AddsEpsilon),
    Example("initial_mean", 1.0, StartsAtOne),
    Example("initial_var", 4.0, StartsWide),
    Example("state_dtype", "float32", StateInFloat32),
    Example("frozen_gradients", "constants", FrozenIsConstants),
)


def __getattr__(name: str) -> Any:
    """For workers: ``Declares_NAME`` declares its own conventions, ``Hides_NAME`` the plain layer's."""
    kind, _, example = name.partition("_")
    for one in EXAMPLES:
        if one.name == example and kind in ("Declares", "Hides"):
            return one.adapter(one.conventions if kind == "Declares" else PLAIN)
    raise AttributeError(name)
