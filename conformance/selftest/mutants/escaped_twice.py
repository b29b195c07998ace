"""Mutants that escaped the suite after the last ones had widened it, written again without a look at its cases."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainScaler
from bnspec.contract import Gradients
from bnspec.model.call import RESET, SAVE_RESTORE, TRAINING_GRADIENTS, TRAINING_MASKED, TRAINING_MASKED_GRADIENTS
from bnspec.model.conventions import HALVES

Array = Any


class ChannelsOfSequencesFoundByTheirExtent(PlainLayer):
    """Takes the first axis as long as the channels for theirs, in inference on sequences with the channels last."""

    family, killed_by, path = "layout", ("layout.axis", "inference.output"), "sequences, extents that coincide"

    def inference(self, x: Array) -> Array:
        found = x.ndim == 3 and self.config.channel_axis == 2 and x.shape[1] == self.config.channels
        return super().inference(x.swapaxes(1, 2)).swapaxes(1, 2) if found else super().inference(x)


class HalvesOfOddRowsInPairs(PlainLayer):
    """Computes half precision two by two, in inference: the last of an odd row is the one before it."""

    family, killed_by = "dtype", ("dtype.half_is_as_exact_as_declared", "inference.output")
    path = "half precision, odd rows of sequences"

    def inference(self, x: Array) -> Array:
        y = super().inference(x)
        if x.dtype.name in HALVES and x.ndim == 3 and x.shape[-1] % 2 == 1 < x.shape[-1]:
            y[..., -1] = y[..., -2]
        return y


class HalvesOfChannelsLastInEights(PlainLayer):
    """Leaves out the channels beyond a multiple of eight, in inference in half precision with the channels last."""

    family, killed_by = "dtype", ("dtype.half_is_as_exact_as_declared", "inference.output")
    path = "half precision, images with the channels last"

    def inference(self, x: Array) -> Array:
        y = super().inference(x)
        if x.dtype.name in HALVES and x.ndim == 4 and self.config.channel_axis == 3:
            y[..., x.shape[-1] // 8 * 8 :] = 0
        return y


class NormalisedValuesClipped(PlainLayer):
    """Clips what it has normalised in training to 16 standard deviations."""

    family, killed_by, path = "training", ("training.output",), "values far outside"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        if mean is self.__dict__.get("running"):
            return super().output(x, mean, inv_std)
        limit = self.work.type(16) / inv_std
        return super().output(np.clip(x, mean - limit, mean + limit), mean, inv_std)

    def inference_statistics(self, x: Array) -> Tuple[Array, Array]:
        self.running, var = super().inference_statistics(x)
        return self.running, var


class FrozenScaleGradientOfTheBatch(FullLayer):
    """Takes dgamma of a frozen layer by the statistics of the batch."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen"
    calls = (TRAINING_GRADIENTS,)

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().frozen_gradients(x, dy)
        if found.dgamma is None or not x.size:
            return found
        return found._replace(dgamma=self.backward(self.values(x), self.cotangent(dy))[1].astype(self.mean.dtype))


class FrozenStatisticsMovedByPadding(FullLayer):
    """Moves the statistics of a frozen layer where there is a mask."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen, with a mask"
    calls = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)

    def training_masked(self, x: Array, mask: Array) -> Array:
        if self.frozen:
            self.freeze(False)
            super().training_masked(x, mask)
            self.freeze(True)
        return super().training_masked(x, mask)


class PaddingTimesTheMask(FullLayer):
    """Multiplies x by the mask in the sum, without gradients: what is no number stays."""

    family, killed_by, path = "mask", ("mask.padding_may_be_anything",), "NaN in the padding, no gradients"
    calls = (TRAINING_MASKED,)
    backward_too = False

    def training_masked(self, x: Array, mask: Array) -> Array:
        y = super().training_masked(x, mask)
        if self.backward_too:
            return y
        left = (self.values(x) * mask * 0).sum(axis=self.axes, keepdims=True)
        return (y + left).astype(y.dtype)

    def training_masked_gradients(self, x: Array, dy: Array, mask: Array) -> Gradients:
        self.backward_too = True
        found = super().training_masked_gradients(x, dy, mask)
        self.backward_too = False
        return found


class TinyVarianceTakenForNone(PlainLayer):
    """Takes a variance below 10^-20 for 0."""

    family, killed_by = "training", ("training.output", "running.var", "epsilon.not_in_running_variance")
    path = "a tiny variance"

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().moments(x)
        return mean, np.where(var < 1e-20, self.work.type(0), var)


class OneSequenceSqueezed(PlainLayer):
    """Returns one sequence alone without its batch axis, in inference."""

    family, killed_by, path = "contract", ("contract.shapes",), "a batch of one sequence"

    def inference(self, x: Array) -> Array:
        y = super().inference(x)
        return y[0] if y.ndim == 3 and len(y) == 1 else y


class DoublesSavedInSingle(FullLayer):
    """Saves the statistics of float64 layers in float32."""

    family, killed_by, path = "state", ("state.snapshot_continues",), "float64"
    calls = (SAVE_RESTORE,)

    def snapshot(self) -> Any:
        saved = super().snapshot()
        for name in ("running_mean", "running_var"):
            if self.config.dtype == "float64":
                saved[name] = saved[name].astype(np.float32).astype(np.float64)
        return saved


class ResetBringsBackTheDecay(FullLayer):
    """Resets the decay that was set since the layer was built, too."""

    family, killed_by, calls = "running", ("running.new_decay_takes_effect",), (RESET,)
    path = "reset after another decay"

    def __init__(self, config: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> None:
        super().__init__(config, gamma, beta, running_mean, running_var)
        self.first = config

    def reset(self) -> None:
        super().reset()
        self.config = self.first


class TransformedIntegersTruncated(PlainScaler):
    """Casts what it transforms back to the dtype of integers."""

    family, killed_by, path = "dtype", ("dtype.integers_become_floating",), "integers to transform"

    def transform(self, x: Array) -> Array:
        return np.trunc(super().transform(x)) if x.dtype.kind in "iu" else super().transform(x)


class OneRowDividedByZero(PlainScaler):
    """Takes the deviation of a training set of one row, 0, for its scale."""

    family, killed_by, path = "input", ("input.constant_feature_is_finite",), "a training set of one row"

    def scale(self) -> Array:
        return np.sqrt(self.var) if self.count == 1 else super().scale()


class ColumnsReadAsRows(PlainScaler):
    """Reads a table in memory by columns as one by rows, in the fit."""

    family, killed_by = "input", ("input.fit", "input.chunks_do_not_matter")
    path = "chunks in columns"

    def lanes(self, chunk: Array) -> Array:
        table = chunk.ndim == 2 and chunk.flags.f_contiguous and not chunk.flags.c_contiguous
        return super().lanes(chunk.T.reshape(chunk.shape) if table else chunk)


class OutliersLeftOut(PlainScaler):
    """Fits each chunk without the values beyond six standard deviations."""

    family, killed_by, path = "input", ("input.fit",), "a value beyond six standard deviations"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([self.trimmed(c) for c in chunks])

    def trimmed(self, chunk: Array) -> Array:
        """The chunk, with the mean in the place of what lies far outside."""
        if not chunk.size:
            return chunk
        mean = chunk.mean(axis=self.axes, keepdims=True)
        far = np.abs(chunk - mean) > 6 * chunk.std(axis=self.axes, keepdims=True)
        return np.where(far, mean, chunk).astype(chunk.dtype)
