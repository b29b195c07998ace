"""Mutants with stale caches: across calls, modes and instances."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients, Tangent
from bnspec.model.call import (
    CLONE,
    INFERENCE_SOME_GRADIENTS,
    TRAINING_LATE_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
    TRAINING_TANGENT,
    Mode,
)
from bnspec.model.conventions import HALVES

Array = Any
Moments = Tuple[Array, Array]


class StaleFoldedInference(PlainLayer):
    """Folds scale and shift at the first inference and never again."""

    family, killed_by, path = "inference", ("inference.follows_training",), "inference after training"
    folded: Any = None

    def inference_statistics(self, x: Array) -> Moments:
        if self.folded is None:
            self.folded = self.wide(self.mean).copy(), self.wide(self.var).copy()
        return self.folded


class StaleVarianceInInference(PlainLayer):
    """Keeps inv_std of inference, and follows the running mean only."""

    family, killed_by, path = "inference", ("inference.follows_training",), "inference after training"
    kept: Any = None

    def inference_inv_std(self, var: Array) -> Array:
        if self.kept is None:
            self.kept = super().inference_inv_std(var)
        return self.kept


class FoldOutlivesStepWithoutGradients(PlainLayer):
    """Discards the folded statistics only in training with gradients."""

    family, killed_by, path = "inference", ("inference.follows_training",), "inference after training without gradients"
    folded: Any = None

    def inference_statistics(self, x: Array) -> Moments:
        if self.folded is None:
            self.folded = self.wide(self.mean).copy(), self.wide(self.var).copy()
        return self.folded

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        self.folded = None
        return super().training_gradients(x, dy)


class ModeSticks(PlainLayer):
    """Stays in inference after an inference, where training normalises by the running statistics."""

    family, killed_by, path = "training", ("training.output", "training.ignores_running_state"), "after an inference"

    def training_statistics(self, x: Array) -> Moments:
        return (self.wide(self.mean), self.wide(self.var)) if self.inferences else self.moments(x)


class FirstCountKept(PlainLayer):
    """Divides the sums of later batches by the first batch's count."""

    family, killed_by, path = "training", ("training.output", "running.mean"), "a batch of another size"
    first = 0

    def average(self, x: Array) -> Array:
        self.first = self.first or self.count(x)
        return x.sum(axis=self.axes, keepdims=True) / self.work.type(self.first)


class SumsNotCleared(PlainLayer):
    """Adds the sums of a later batch to those of the one before."""

    family, killed_by, path = "running", ("running.second_step_continues", "running.mean"), "second step"
    left: Any = 0

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        kept, self.left = self.left, mean
        return super().new_mean(old, mean + kept, count)


class FirstBatchSaved(PlainLayer):
    """Normalises in the backward pass by the statistics of the layer's first batch."""

    family, killed_by, path = "gradient", ("gradient.training_dx", "gradient.training_dgamma"), "second step, backward"
    saved: Any = None

    def training_statistics(self, x: Array) -> Moments:
        found = self.moments(x)
        self.saved = found if self.saved is None else self.saved
        return found

    def backward_statistics(self, x: Array) -> Moments:
        return self.saved


class StatisticsCachedByShape(PlainLayer):
    """Keeps batch statistics by shape, for all layers of the process."""

    family, killed_by, path = "training", ("training.output",), "a repeated shape"
    cache: Dict[Any, Moments] = {}

    def moments(self, x: Array) -> Moments:
        return self.cache.setdefault((x.shape, self.config), super().moments(x))


class StatisticsCachedByRow(PlainLayer):
    """Caches batch statistics by the shape of a row, and misses that the batch has changed."""

    family, killed_by, path = "training", ("training.output",), "second step"
    cached: Any = None

    def training_statistics(self, x: Array) -> Moments:
        if self.cached is None or self.cached[0] != x.shape[1:]:
            self.cached = x.shape[1:], self.moments(x)
        return self.cached[1]


class KernelCachedWithoutMode(PlainLayer):
    """Keeps the kernel of dx by shape, and forgets that it depends on the mode."""

    family, killed_by, path = "gradient", ("gradient.training_dx", "gradient.inference_dx"), "second backward"
    kernel: Any = None

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.chosen("training")(dy, zhat, inv_std)

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.chosen("inference")(dy, zhat, inv_std)

    def chosen(self, mode: Mode) -> Any:
        """The kernel of the first requested mode."""
        self.kernel = self.kernel or mode
        return super().training_dx if self.kernel == "training" else super().inference_dx


class KernelCachedAcrossLayers(PlainLayer):
    """Keeps epsilon by shape and dtype for all layers of the process."""

    family, killed_by, path = (
        "epsilon",
        ("epsilon.inside_root_in_training", "epsilon.as_given"),
        "another layer's shape",
    )
    compiled: Dict[Any, Any] = {}

    def epsilon(self) -> Array:
        c = self.config
        return self.compiled.setdefault((c.rank, c.channel_axis, c.channels, c.dtype), super().epsilon())


class DecayCachedAcrossLayers(PlainLayer):
    """Keeps the decay by shape and dtype for all layers of the process."""

    family, killed_by, path = "running", ("running.mean", "running.var"), "another layer's shape"
    compiled: Dict[Any, Any] = {}

    def decay(self) -> Array:
        c = self.config
        return self.compiled.setdefault((c.rank, c.channel_axis, c.channels, c.dtype), super().decay())


class GammaCachedAcrossLayers(PlainLayer):
    """Keeps the widened gamma of half-precision layers by the number of channels, for all layers of the process."""

    family, killed_by, path = "affine", ("affine.per_channel",), "another layer's channels"
    compiled: Dict[Any, Any] = {}

    def gamma(self) -> Array:
        gamma = super().gamma()
        if not self.config.affine:
            return gamma
        return self.broad(self.compiled.setdefault((self.config.channels, self.work.name), gamma.reshape(-1)))


class NormalisedValueKept(PlainLayer):
    """Keeps the normalised value of the last inference for dgamma of training, where the shapes agree."""

    family, killed_by, path = "gradient", ("gradient.training_dgamma",), "training backward after inference"
    kept: Any = None

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        if self.inferences and not self.steps:
            self.kept = (x - mean) * inv_std
        return super().output(x, mean, inv_std)

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        if self.kept is not None and self.steps and self.kept.shape[1:] == zhat.shape[1:]:
            rows = min(len(self.kept), len(zhat))
            zhat = np.concatenate([self.kept[:rows], zhat[rows:]])
        return super().parameter_gradients(dy, zhat, inv_std)


class ThirdStepRepeatsSecond(PlainLayer):
    """Updates from the second step's statistics in the third."""

    family, killed_by, path = "running", ("running.second_step_continues",), "third step"
    second: Any = None

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        if self.steps == 2:
            self.second = mean
        return super().new_mean(old, self.second if self.steps == 3 else mean, count)


class GradientsKeptBetweenSteps(PlainLayer):
    """Adds dx of the step before where the shapes agree."""

    family, killed_by, path = "gradient", ("gradient.training_dx", "gradient.inference_dx"), "second backward"
    last: Any = None

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        if self.last is not None and self.last.shape[1:] == dx.shape[1:]:
            dx = dx + self.average(self.last)
        self.last = dx
        return super().gradients(x, y, dx, dgamma, dbeta)


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


class FoldOutlivesAMaskedStep(FullLayer):
    """Keeps the statistics of inference until a step without padding."""

    family, killed_by, path = "inference", ("inference.output",), "inference, a step with padding, inference"
    calls: Any = (TRAINING_MASKED,)
    folded: Any = None

    def inference_statistics(self, x: Array) -> Moments:
        if self.folded is None:
            self.folded = self.wide(self.mean).copy(), self.wide(self.var).copy()
        found: Moments = self.folded
        return found

    def update(self, x: Array) -> None:
        super().update(x)
        self.folded = None


class FoldOutlivesATangent(FoldOutlivesAMaskedStep):
    """Keeps the statistics of inference over a step in forward mode."""

    path, calls = "inference, a step in forward mode, inference", (TRAINING_TANGENT,)

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        folded = self.folded
        found = super().training_tangent(x, v)
        self.folded = folded
        return found


class CountOutlivesItsMask(FullLayer):
    """Counts what the first mask of a shape keeps, and takes that number for later ones."""

    family, killed_by, path = "mask", ("mask.equals_compaction", "mask.counts_elements"), "another mask of one shape"
    calls = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)
    counted: Any = None

    def kept(self, x: Array, mask: Array) -> int:
        self.counted = self.counted or {}
        return int(self.counted.setdefault(mask.shape, super().kept(x, mask)))


class TangentsShareABuffer(FullLayer):
    """Writes each derivative along a direction where the one before lies."""

    family, killed_by, path = "purity", ("purity.results_stay",), "forward mode, twice on one layer"
    calls = (TRAINING_TANGENT,)
    buffer: Any = None

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        found = super().training_tangent(x, v)
        if self.buffer is None or self.buffer.shape != x.shape:
            self.buffer = np.empty_like(found.along)
        self.buffer[...] = found.along
        return found._replace(along=self.buffer)


class NinthInferenceLosesTheShift(PlainLayer):
    """Has the shifts of eight inferences, and none after."""

    family, killed_by, path = "inference", ("inference.output", "affine.per_channel"), "more than eight inferences"

    def infer(self, x: Array) -> Array:
        y = super().infer(x)
        return (y - self.beta()).astype(y.dtype) if self.inferences > 8 else y


class FoldOutlivesStateGradients(FoldOutlivesAMaskedStep):
    """Keeps the statistics of inference over a step whose loss reads them."""

    path, calls = "inference, a loss that reads the statistics, inference", (TRAINING_STATE_GRADIENTS,)

    def training_state_gradients(self, x: Array, dy: Array) -> Gradients:
        folded = self.folded
        found = super().training_state_gradients(x, dy)
        self.folded = folded
        return found


class FoldOutlivesALateStep(FoldOutlivesAMaskedStep):
    """Keeps the statistics of inference over a step whose backward pass comes later."""

    path, calls = "inference, a late backward pass, inference", (TRAINING_LATE_GRADIENTS,)

    def training_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        folded = self.folded
        found = super().training_late_gradients(x, dy, other)
        self.folded = folded
        return found


class FoldOutlivesTheFirstStepOfACopy(FoldOutlivesAMaskedStep):
    """A copy keeps the statistics that its original had folded for inference, over its own first step."""

    path, calls, young = "inference, copied, a step, inference", (CLONE,), False

    def copied(self) -> Any:
        new = super().copied()
        new.young = True
        return new

    def update(self, x: Array) -> None:
        folded, young = self.folded, self.young
        super().update(x)
        self.folded, self.young = folded if young else None, False

    def reset(self) -> None:
        super().reset()
        self.folded = None


class HalfScaleGradientsShareABuffer(FullLayer):
    """In half precision writes each dgamma of inference where the one before lies."""

    family, killed_by, path = "purity", ("purity.results_stay",), "half precision, inference with gradients, twice"
    buffer: Any = None

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().inference_gradients(x, dy)
        if found.dgamma is None or x.dtype.name not in HALVES:
            return found
        if self.buffer is None:
            self.buffer = np.empty_like(found.dgamma)
        self.buffer[...] = found.dgamma
        return found._replace(dgamma=self.buffer)


class FoldOutlivesMaskedGradients(FoldOutlivesAMaskedStep):
    """Keeps the statistics of inference over a step with padding and gradients."""

    path, calls = "inference, padding with gradients, inference", (TRAINING_MASKED_GRADIENTS,)

    def training_masked(self, x: Array, mask: Array) -> Array:
        found = super().training_masked(x, mask)
        self.folded = None
        return found

    def training_masked_gradients(self, x: Array, dy: Array, mask: Array) -> Gradients:
        folded = self.folded
        found = super().training_masked_gradients(x, dy, mask)
        self.folded = folded
        return found


class MaskOfTheFirstBackwardPassKept(FullLayer):
    """Keeps the mask of its first backward pass for later ones of the same shape."""

    family, killed_by, path = "mask", ("mask.gradients",), "another mask on the same layer, with gradients"
    calls = (TRAINING_MASKED_GRADIENTS,)
    masks: Any = None

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        self.masks = self.masks or {}
        return super().masked_dx(dy, zhat, inv_std, self.masks.setdefault(mask.shape, mask.copy()))


class TwelfthInferenceFoldsForGood(PlainLayer):
    """Takes statistics that twelve inferences have read for constants."""

    family, killed_by, path = "inference", ("inference.follows_training",), "a step after twelve inferences"
    folded: Any = None

    def inference_statistics(self, x: Array) -> Moments:
        if self.inferences == 12:
            self.folded = self.wide(self.mean).copy(), self.wide(self.var).copy()
        found: Moments = self.folded or super().inference_statistics(x)
        return found
