"""Mutants of dtypes: narrowed intermediate values, and results of the wrong dtype."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainScaler
from bnspec.contract import Gradients, LayerConfig
from bnspec.model.buffers import dtype_of
from bnspec.model.conventions import HALVES

Array = Any

HALF, RESULTS = ("dtype.half_is_as_exact_as_declared",), ("dtype.results",)
INTEGERS = ("dtype.integers_become_floating",)


def bfloat(array: Array) -> Array:
    """Float32 values cut to the eight bits of bfloat16."""
    return (np.ascontiguousarray(array, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


class ParametersNarrowed(PlainLayer):
    """Casts gamma, beta and the running statistics to the dtype of x before it uses them."""

    family, killed_by, path = "dtype", HALF, "half precision, wider parameters"

    def wide(self, channels: Array) -> Array:
        return super().wide(np.asarray(channels).astype(dtype_of(self.config.dtype)))


class RunningVarianceNarrowed(PlainLayer):
    """Casts the running variance to float16 in inference, where 1e-9 is 0."""

    family, killed_by, path = "dtype", ("inference.output", *HALF), "inference, float16"

    def inference_statistics(self, x: Array) -> Any:
        mean, var = super().inference_statistics(x)
        return mean, var.astype(np.float16).astype(self.work) if self.config.dtype == "float16" else var


class ArithmeticInHalf(PlainLayer):
    """Rounds the normalised value to float16 before it is scaled."""

    family, killed_by, path = "dtype", HALF, "float16"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        if self.config.dtype != "float16":
            return super().output(x, mean, inv_std)
        half = [np.asarray(v).astype(np.float16) for v in (x, mean, inv_std, self.gamma(), self.beta())]
        return (half[0] - half[1]) * half[2] * half[3] + half[4]


class BfloatResultCut(PlainLayer):
    """Cuts y to bfloat16 where it must be rounded to the nearest."""

    family, killed_by, path = "dtype", HALF, "bfloat16"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        y = super().output(x, mean, inv_std)
        return bfloat(y) if self.config.dtype == "bfloat16" else y


class GammaInBfloat(PlainLayer):
    """Cuts float32 gamma to bfloat16 beside a half-precision x."""

    family, killed_by, path = "dtype", HALF, "half precision, float32 parameters"

    def gamma(self) -> Array:
        gamma = super().gamma()
        mixed = self.config.dtype != self.config.parameter_dtype
        return bfloat(gamma) if mixed else gamma


class MixedParametersIgnored(PlainLayer):
    """Leaves beta out where the parameters' dtype is not that of x."""

    family, killed_by, path = "affine", ("affine.per_channel",), "half precision, float32 parameters"

    def beta(self) -> Array:
        beta = super().beta()
        return beta * 0 if self.config.dtype != self.config.parameter_dtype else beta


class DoubleComputedInFloat(PlainLayer):
    """Computes float64 in float32."""

    family, killed_by, path = "training", ("training.output",), "float64"

    def values(self, array: Array) -> Array:
        return super().values(array.astype(np.float32))


class DoubleUpdatedInFloat(PlainLayer):
    """Keeps float64 running statistics in float32."""

    family, killed_by, path = "running", ("running.mean", "running.var"), "float64"

    def store(self, mean: Array, var: Array) -> None:
        super().store(mean.astype(np.float32), var.astype(np.float32))


class DoubleRootInFloat(PlainLayer):
    """Takes the reciprocal root of float64 variances in float32."""

    family, killed_by, path = "training", ("training.output", "training.output_is_stable"), "float64"

    def inv_std(self, var: Array) -> Array:
        return super().inv_std(var).astype(np.float32).astype(self.work)


class ResultPromoted(PlainLayer):
    """Returns y of a half-precision x in float32."""

    family, killed_by, path = "dtype", RESULTS, "half precision"

    def inference(self, x: Array) -> Array:
        return super().inference(x).astype(self.work)


class DxPromoted(PlainLayer):
    """Returns dx of a half-precision x in float32."""

    family, killed_by, path = "dtype", RESULTS, "half precision, backward"

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        return super().gradients(x, y, dx, dgamma, dbeta)._replace(dx=np.array(dx, self.work))


class ParameterGradientsNarrowed(PlainLayer):
    """Returns dgamma and dbeta in the dtype of x."""

    family, killed_by, path = "dtype", RESULTS, "half precision, float32 parameters"

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        result = super().gradients(x, y, dx, dgamma, dbeta)
        return result._replace(dgamma=dgamma.astype(x.dtype), dbeta=dbeta.astype(x.dtype))


class StatePromoted(PlainLayer):
    """Replaces the running statistics by float64 ones."""

    family, killed_by = "dtype", RESULTS

    def store(self, mean: Array, var: Array) -> None:
        self.mean, self.var = (v.reshape(-1).astype(np.float64) for v in (mean, var))


class StateNarrowed(PlainLayer):
    """Replaces float32 running statistics beside a half-precision x by ones of x's dtype."""

    family, killed_by, path = "dtype", RESULTS, "half precision, float32 parameters"

    def store(self, mean: Array, var: Array) -> None:
        self.mean, self.var = (v.reshape(-1).astype(dtype_of(self.config.dtype)) for v in (mean, var))


class IntegersSquaredInTheirDtype(PlainLayer):
    """Squares x in its own dtype, where the squares of integers overflow."""

    family, killed_by, path = "dtype", INTEGERS, "integers"
    given: Any = None

    def forward(self, x: Array) -> Array:
        self.given = x
        return super().forward(x)

    def moments(self, x: Array) -> Any:
        mean, var = super().moments(x)
        if self.given is None or self.given.dtype.kind not in "iu":
            return mean, var
        return mean, np.maximum(self.average(np.square(self.given).astype(self.work)) - np.square(mean), 0)


class IntegersCastBack(PlainLayer):
    """Returns y in the dtype of x, integers too."""

    family, killed_by, path = "dtype", INTEGERS, "integers"

    def result_dtype(self, x: Array) -> Any:
        return x.dtype


class IntegersCentredByARoundedMean(PlainLayer):
    """Rounds the mean of integers to an integer."""

    family, killed_by, path = "dtype", INTEGERS, "integers"
    whole = False

    def forward(self, x: Array) -> Array:
        self.whole = x.dtype.kind in "iu"
        return super().forward(x)

    def moments(self, x: Array) -> Any:
        mean, var = super().moments(x)
        return np.trunc(mean) if self.whole else mean, var


class ScalerStatisticsNarrowed(PlainScaler):
    """Rounds mean and standard deviation to the dtype of x before the transform uses them."""

    family, killed_by, path = "dtype", HALF, "half precision"

    def transform(self, x: Array) -> Array:
        mean, scale = (a.astype(x.dtype).astype(self.work) for a in (self.mean, self.scale()))
        return ((x.astype(self.work) - mean) / scale).astype(x.dtype)


class ScalerDifferenceInHalf(PlainScaler):
    """Subtracts the mean in the dtype of x, where the difference of two finite numbers may be infinite."""

    family, killed_by, path = "dtype", HALF, "half precision"

    def transform(self, x: Array) -> Array:
        with np.errstate(over="ignore"):
            difference = (x.astype(self.work) - self.mean).astype(x.dtype)
            return (difference.astype(self.work) / self.scale()).astype(x.dtype)


class WordsKeptAsIntegers(PlainLayer):
    """Returns y of 32-bit integers as integers, and widens bytes."""

    family, killed_by, path = "dtype", INTEGERS, "32-bit integers"

    def result_dtype(self, x: Array) -> Any:
        return x.dtype if x.dtype.name == "int32" else super().result_dtype(x)


class SquaresRoundedToHalfWithChannelsLast(PlainLayer):
    """Rounds squared deviations to half precision where the channels are last."""

    family, killed_by = "dtype", ("dtype.half_is_as_exact_as_declared",)
    path = "half precision, channels last"

    def moments(self, x: Array) -> Tuple[Array, Array]:
        config = self.config
        if config.dtype not in HALVES or config.rank < 3 or config.channel_axis != config.rank - 1:
            return super().moments(x)
        mean = self.average(x)
        squares = np.square(x - mean).astype(dtype_of(config.dtype)).astype(x.dtype)
        return mean, self.average(squares)


class SquaresCutAtTheRangeOfFloat16(PlainLayer):
    """Takes squared deviations beyond float16's range for the largest number of that."""

    family, killed_by, path = "dtype", HALF, "float16, squares beyond 65,504"

    def moments(self, x: Array) -> Tuple[Array, Array]:
        if self.config.dtype != "float16":
            return super().moments(x)
        mean = self.average(x)
        return mean, self.average(np.minimum(np.square(x - mean), np.float32(65504)))


class ShiftGradientCutAtTheRangeOfFloat16(PlainLayer):
    """Cuts dbeta, in float32, at float16's range."""

    family, killed_by, path = "dtype", HALF, "float16, a sum beyond 65,504"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma, np.clip(dbeta, -65504, 65504) if self.config.dtype == "float16" else dbeta


class HalfStepSkippedForOneChannel(PlainLayer):
    """In half precision skips the step of all channels where one is not finite, as a scaler of losses does."""

    family, killed_by, path = (
        "special",
        ("special.channels_are_isolated", "running.mean"),
        "half precision, NaN in one channel",
    )

    def store(self, mean: Array, var: Array) -> None:
        if self.config.dtype not in HALVES or (np.isfinite(mean).all() and np.isfinite(var).all()):
            super().store(mean, var)


class BfloatThroughFloat16InInference(PlainLayer):
    """Takes a bfloat16 x of inference through float16, which does not reach as far."""

    family, killed_by, path = "dtype", (*HALF, "inference.output"), "bfloat16 values beyond float16's range"

    def infer(self, x: Array) -> Array:
        if x.dtype.name != "bfloat16":
            return super().infer(x)
        with np.errstate(over="ignore"):
            return super().infer(x.astype(np.float32).astype(np.float16).astype(x.dtype))


class TinyVarianceOfDoublesIsNone(PlainLayer):
    """Takes a variance of doubles below 1e-14 for 0, as in float32."""

    family, killed_by, path = "training", ("training.output",), "float64, tiny variances, no epsilon"

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().moments(x)
        return mean, np.where(var < 1e-14, 0, var) if self.work == np.float64 else var


class WordsCutTo16BitsInInference(PlainLayer):
    """Reads integers of 32 bits as integers of 16 in inference."""

    family, killed_by, path = "dtype", INTEGERS, "integers beyond 16 bits, in inference"

    def infer(self, x: Array) -> Array:
        return super().infer(x.astype(np.int16) if x.dtype.name == "int32" else x)


class WordsCutTo16BitsInTransform(PlainScaler):
    """Reads integers of 32 bits as integers of 16 when it transforms them."""

    family, killed_by, path = "dtype", INTEGERS, "integers beyond 16 bits, to transform"

    def transform(self, x: Array) -> Array:
        return super().transform(x.astype(np.int16) if x.dtype.name == "int32" else x)


class DoublesBeginInSingle(FullLayer):
    """Begins a layer of doubles with running statistics in float32."""

    family, killed_by, path = "dtype", RESULTS, "a new layer of doubles"

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        new = super().begun(config)
        if config.parameter_dtype == "float64":
            new.mean, new.var = new.mean.astype(np.float32), new.var.astype(np.float32)
        return new


class FrozenScaleOfDoublesInSingle(FullLayer):
    """Rounds a gamma of doubles to float32 in the gradients of a frozen layer."""

    family, killed_by, path = (
        "dtype",
        ("gradient.frozen_statistics", "gradient.training_dx"),
        "float64, frozen, with gradients",
    )

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        gamma = self.raw_gamma
        if gamma is not None and gamma.dtype == np.float64:
            self.raw_gamma = gamma.astype(np.float32)
        found = super().frozen_gradients(x, dy)
        self.raw_gamma = gamma
        return found


class FrozenMovedByIntegers(FullLayer):
    """Moves the statistics of a frozen layer by a batch of integers, which it casts for a step of its own."""

    family, killed_by, path = "dtype", INTEGERS, "frozen, integers"

    def frozen_training(self, x: Array) -> Array:
        y = super().frozen_training(x)
        if x.dtype.kind in "iu":
            self.update(self.values(x))
        return y
