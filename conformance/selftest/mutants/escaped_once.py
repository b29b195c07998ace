"""Mutants that escaped the suite once: each has widened it, or says why it still escapes."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainScaler
from bnspec.contract import Gradients, SecondOrder, Tangent
from bnspec.model.buffers import dtype_of
from bnspec.model.call import (
    INFERENCE_SOME_GRADIENTS,
    TRAINING_SECOND_ORDER,
    TRAINING_TANGENT,
    TRAINING_THIRD_ORDER,
)
from bnspec.model.conventions import HALVES

Array = Any


class FirstAxisParametersReversed(PlainLayer):
    """Takes the parameters in the reverse order where the channel axis is the first."""

    family, killed_by, path = "layout", ("layout.axis",), "channel axis 0"

    def wide(self, channels: Array) -> Array:
        wide = super().wide(channels)
        return wide.reshape(-1)[::-1].reshape(wide.shape) if self.config.channel_axis == 0 else wide


class EmptyBatchDecaysState(PlainLayer):
    """Averages the running statistics with 0 on an empty batch."""

    family, killed_by, path = "degenerate", ("degenerate.empty_batch",), "an empty batch"

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            self.store(self.wide(self.mean) * self.decay(), self.wide(self.var) * self.decay())
        return super().forward(x)


class CotangentNanHidden(PlainLayer):
    """Replaces NaN and infinity in dy by numbers."""

    family, killed_by, path = "special", ("special.cotangent_nan_is_not_hidden",), "NaN in dy"

    def cotangent(self, dy: Array) -> Array:
        return np.nan_to_num(super().cotangent(dy))


class ResultMemoryReused(PlainLayer):
    """Returns y in memory that the next call writes to."""

    family, killed_by, path = "purity", ("purity.results_stay",), "second call"
    scratch: Any = None

    def training(self, x: Array) -> Array:
        return self.reused(super().training(x))

    def inference(self, x: Array) -> Array:
        return self.reused(super().inference(x))

    def reused(self, y: Array) -> Array:
        """y, in the memory of the result before where it fits."""
        if self.scratch is None or self.scratch.shape != y.shape:
            self.scratch = np.empty_like(y)
        self.scratch[...] = y
        return self.scratch


class ResultBuffersTakeTurns(PlainLayer):
    """Returns y in one of two buffers in turn: the next call leaves it alone, the one after that writes to it."""

    family, killed_by, path = "purity", ("purity.results_stay",), "third call"
    buffers: Any = ()

    def training(self, x: Array) -> Array:
        return self.held(super().training(x))

    def inference(self, x: Array) -> Array:
        return self.held(super().inference(x))

    def held(self, y: Array) -> Array:
        """y, in the memory of the result before the last where it fits."""
        used = self.buffers[0] if len(self.buffers) == 2 and self.buffers[0].shape == y.shape else np.empty_like(y)
        used[...] = y
        self.buffers = (*self.buffers[-1:], used)
        return used


class SecondInverseDoubled(PlainScaler):
    """Doubles what the second inverse returns."""

    family, killed_by, path = "input", ("input.inverse", "input.keeps_statistics"), "second inverse"
    inverses = 0

    def inverse(self, y: Array) -> Array:
        self.inverses += 1
        return super().inverse(y) * (2 if self.inverses > 1 else 1)


class ChunksAfterTheSixthDropped(PlainScaler):
    """Fits the first six chunks."""

    family, killed_by, path = "input", ("input.chunks_do_not_matter",), "more than 6 chunks"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(list(chunks)[:6])


class NanFittedAsZero(PlainScaler):
    """Takes NaN in the training set for 0."""

    family, killed_by, path = "input", ("input.fit", "input.chunks_do_not_matter"), "NaN in the training set"
    escapes = "only scalers that declare to leave missing values out are given any"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([np.nan_to_num(c) for c in chunks])


class HalfTransformDoubled(PlainScaler):
    """Doubles what it transforms in half precision."""

    family, killed_by, path = "input", ("input.transform",), "half precision"

    def transform(self, x: Array) -> Array:
        return super().transform(x) * (2 if self.config.dtype.endswith("16") else 1)


class FrozenSecondOrderThroughTheBatch(FullLayer):
    """Takes the second derivatives of a frozen layer by the statistics of the batch."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen, second derivatives"
    calls = (TRAINING_SECOND_ORDER,)

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        was, state = self.frozen, (self.mean.copy(), self.var.copy())
        self.frozen = False
        found = super().training_second_order(x, dy, v)
        self.frozen = was
        if was:
            self.mean[:], self.var[:] = state
        return found


class FrozenTangentMoves(FullLayer):
    """Moves the statistics of a frozen layer in forward mode."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen, forward mode"
    calls = (TRAINING_TANGENT,)

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        found = super().training_tangent(x, v)
        if self.frozen:
            self.update(self.values(x))
        return found


class TangentOfDoublesInSingle(FullLayer):
    """Computes the tangent of float64 in float32."""

    family, killed_by, path = "gradient", ("gradient.forward_mode",), "float64"
    calls = (TRAINING_TANGENT,)

    def tangent(self, v: Array, centred: Array, inv_std: Array) -> Array:
        found = super().tangent(v, centred, inv_std)
        return found.astype(np.float32).astype(found.dtype)


class ThirdOrderHalvedWithoutAffine(FullLayer):
    """Halves the third derivative of a layer without gamma."""

    family, killed_by, path = "second_order", ("second_order.third_derivative",), "no gamma and beta"
    calls = (TRAINING_THIRD_ORDER,)

    def third(self, dy: Array, w: Array, zhat: Array, s: Array) -> Array:
        return super().third(dy, w, zhat, s) / (1 if self.config.affine else 2)


class ShiftGradientAloneAccumulates(FullLayer):
    """Adds to dbeta what the layer's earlier requests for some gradients gave."""

    family, killed_by, path = "gradient", ("gradient.each_argument_alone",), "second request"
    calls = (INFERENCE_SOME_GRADIENTS,)
    earlier: Any = 0

    def inference_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        found = super().inference_some_gradients(x, dy, wanted)
        if found.dbeta is None:
            return found
        self.earlier = self.earlier + found.dbeta
        return found._replace(dbeta=np.array(self.earlier))


class ResultsOfOneShapeShareMemory(PlainLayer):
    """Returns y and dbeta in memory that the next call of the same kind writes to, where their shapes are the same."""

    family, killed_by, path = "purity", ("purity.results_stay",), "second batch of one shape"

    def infer(self, x: Array) -> Array:
        return self.kept("y", super().infer(x))

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        found = super().gradients(x, y, dx, dgamma, dbeta)
        return found if found.dbeta is None else found._replace(dbeta=self.kept("dbeta", found.dbeta))

    def kept(self, name: str, result: Array) -> Array:
        """The result, in the memory of the one before where it fits."""
        old = self.__dict__.get("kept_" + name)
        if old is None or old.shape != result.shape or old.dtype != result.dtype:
            self.__dict__["kept_" + name] = old = np.empty_like(result)
        old[...] = result
        return old


class FoldOutlivesReset(FullLayer):
    """Folds the statistics for inference once, until the next training step, and does not fold them again after a reset."""

    family, killed_by, path = "inference", ("inference.output", "inference.follows_training"), "reset after inference"
    folded: Any = None

    def store(self, mean: Array, var: Array) -> None:
        self.folded = None
        super().store(mean, var)

    def inference_statistics(self, x: Array) -> Tuple[Array, Array]:
        if self.folded is None:
            self.folded = super().inference_statistics(x)
        mean, var = self.folded
        return mean, var


class CheckpointInTheDtypeOfX(FullLayer):
    """Saves the statistics of a layer on half-precision x in the dtype of x."""

    family, killed_by, path = "state", ("state.snapshot_continues",), "half precision"

    def snapshot(self) -> Any:
        saved = super().snapshot()
        if self.config.dtype in HALVES:
            for name in ("running_mean", "running_var"):
                saved[name] = saved[name].astype(dtype_of(self.config.dtype)).astype(self.mean.dtype)
        return saved


class ConstantChannelsOfBareLayersSkipped(PlainLayer):
    """Takes the reciprocal root of a variance of 0 for 0, where there is no gamma: y is right, dx is not."""

    family, killed_by = "degenerate", ("degenerate.constant_channel", "gradient.training_dx")
    path = "no gamma and beta, a constant channel"

    def inv_std(self, var: Array) -> Array:
        found = super().inv_std(var)
        return found if self.config.affine else np.where(var == 0, self.work.type(0), found)


class FaintGammaFlushed(PlainLayer):
    """Takes a gamma below 10^-4 for 0."""

    family, killed_by, path = "affine", ("affine.per_channel", "gradient.training_dx"), "a gamma of 2^-24"

    def gamma(self) -> Array:
        gamma = super().gamma()
        return np.where(np.abs(gamma) < 1e-4, self.work.type(0), gamma)


class VarianceLeftOutBesideAHugeEpsilon(PlainLayer):
    """Adds no variance to an epsilon of 100 or more."""

    family, path = "epsilon", "an epsilon of 100"
    killed_by = ("epsilon.inside_root_in_training", "epsilon.inside_root_in_inference")

    def inv_std(self, var: Array) -> Array:
        return super().inv_std(var * self.work.type(self.config.epsilon < 100))


class WeightOfTheNewInThreeDigits(PlainLayer):
    """Rounds 1 - decay to three digits after the point."""

    family, path = "running", "a decay of four digits"
    killed_by = ("running.mean", "running.var", "dtype.half_is_as_exact_as_declared")

    def averaged(self, old: Array, new: Array) -> Array:
        weight = self.work.type(round(1 - self.config.decay, 3))
        return (1 - weight) * old + weight * new


class SquarePlanesTransposed(PlainLayer):
    """Exchanges height and width of dx of square planes."""

    family, killed_by, path = "layout", ("layout.axis", "gradient.training_dx"), "square planes"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        dx = super().training_dx(dy, zhat, inv_std)
        square = dx.ndim == 4 and self.config.channel_axis == 1 and dx.shape[2] == dx.shape[3] > 4
        return dx.swapaxes(2, 3) if square else dx


class HalvesInChannelsLastMemoryReadAsPacked(PlainLayer):
    """Reads half-precision arrays whose memory has the channels last as if they were packed."""

    family, killed_by, path = "layout", ("layout.strides",), "half precision, channels last in memory"

    def values(self, array: Array) -> Array:
        if array.dtype.name in HALVES and array.ndim == 4 and array.size and not array.flags.c_contiguous:
            memory = array.transpose(0, 2, 3, 1)
            if memory.flags.c_contiguous:
                return super().values(memory.reshape(array.shape))
        return super().values(array)


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


class VolumesCorrectedByTheirPositions(PlainLayer):
    """Takes the positions of a volume for its count, in the correction, where one of its extents is 1."""

    family, killed_by, path = "running", ("running.var",), "a volume with an extent of 1"
    positions = 0

    def update(self, x: Array) -> None:
        volume = x.ndim == 5 and 1 in x.shape[2:] and self.config.channel_axis == 1
        self.positions = int(np.prod(x.shape[2:])) if volume else 0
        super().update(x)

    def corrected(self, var: Array, count: int) -> Array:
        return super().corrected(var, self.positions or count)


class FirstChunkWithoutRowsCounts(PlainScaler):
    """Counts one row more where the first chunk has none."""

    family, killed_by = "input", ("input.empty_chunk_changes_nothing",)
    path = "a first chunk without rows"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        if len(chunks) and not chunks[0].size and self.count:
            self.var = self.var * self.work.type(self.count / (self.count + 1))


class SingleRowNormalisedByItself(PlainScaler):
    """Centres an image that comes alone by its own mean."""

    family, killed_by, path = "input", ("input.transform",), "one row of later data"

    def transform(self, x: Array) -> Array:
        if x.shape[0] != 1 or x.ndim == 2:
            return super().transform(x)
        wide = x.astype(self.work)
        return ((wide - self.average(wide)) / self.scale()).astype(x.dtype)


class SequencesFittedAtTheirEnd(PlainScaler):
    """Fits sequences at their last position alone."""

    family, killed_by = "input", ("input.fit", "input.chunks_do_not_matter")
    path = "sequences"

    def lanes(self, chunk: Array) -> Array:
        return super().lanes(chunk[:, :, -1:] if chunk.ndim == 3 and self.config.channel_axis == 1 else chunk)

    def size(self, chunk: Array) -> int:
        return chunk.shape[0] if chunk.ndim == 3 and self.config.channel_axis == 1 else super().size(chunk)
