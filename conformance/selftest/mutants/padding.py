"""Mutants of batches with padding."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.contract import Gradients
from bnspec.model.buffers import dtype_of
from bnspec.model.call import TRAINING_MASKED, TRAINING_MASKED_GRADIENTS

Array = Any

MASKED = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)
COMPACT, INERT, COUNTS = ("mask.equals_compaction",), ("mask.padding_is_inert",), ("mask.counts_elements",)
GRADIENTS, ANYTHING = ("mask.gradients",), ("mask.padding_may_be_anything",)


class _Masked(FullLayer):
    """Base class: differs on masked calls only."""

    calls = MASKED

    def samples(self, mask: Array) -> Array:
        """For each sample, whether any of its elements is kept."""
        return mask.reshape(mask.shape[0], -1).any(axis=1)


class PaddingCountsAsZeros(_Masked):
    """Divides the sums of what is kept by the whole count."""

    family, killed_by = "mask", COMPACT

    def kept(self, x: Array, mask: Array) -> int:
        return int(mask.size)


class PaddingInTheVariance(_Masked):
    """Takes the mean of what is kept, and the variance of everything."""

    family, killed_by = "mask", (*COMPACT, *INERT)

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        mean, _ = super().kept_moments(x, mask)
        return mean, np.square(x - mean).mean(axis=self.axes, keepdims=True)


class PaddingInTheMean(_Masked):
    """Centres by the mean of everything."""

    family, killed_by = "mask", (*COMPACT, *INERT)

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        mean = self.average(x)
        return mean, self.kept_average(np.square(x - mean), mask)


class ZeroedPaddingInTheVariance(_Masked):
    """Sets padding to 0 before the deviations are squared, and not after."""

    family, killed_by = "mask", COMPACT

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        mean, clean = self.kept_average(x, mask), self.cleaned(x, mask)
        return mean, np.square(clean - mean).sum(axis=self.axes, keepdims=True) / self.work.type(self.kept(x, mask))


class PilotFromThePadding(_Masked):
    """Shifts by the first element, kept or not, before it sums."""

    family, killed_by = "mask", (*INERT, *COMPACT)

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        pilot = self.broad(self.lanes(x)[:, -1])
        mean, var = super().kept_moments(x - pilot, mask)
        return mean + pilot, var


class MaskIgnored(_Masked):
    """Takes padding for data."""

    family, killed_by = "mask", (*COMPACT, *INERT, *COUNTS)

    def cleaned(self, x: Array, mask: Array) -> Array:
        return x

    def kept(self, x: Array, mask: Array) -> int:
        return int(mask.size)


class MaskInverted(_Masked):
    """Keeps the padding, where there is some."""

    family, killed_by = "mask", COMPACT

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        return super().kept_moments(x, mask if mask.all() else ~mask)


class CorrectionOfTheWholeBatch(_Masked):
    """Corrects the running variance by the whole count."""

    family, killed_by = "mask", COUNTS

    def correction_count(self, x: Array, mask: Array) -> int:
        return int(mask.size)


class CorrectionCountsSamples(_Masked):
    """Corrects the running variance by the number of samples, however many positions of each are kept."""

    family, killed_by, path = "mask", COUNTS, "rank above 2"

    def correction_count(self, x: Array, mask: Array) -> int:
        return max(int(self.samples(mask).sum()), 2) if x.ndim > 2 else super().correction_count(x, mask)


class PositionsOfASampleCountAlike(_Masked):
    """Counts all positions of a sample of which any is kept."""

    family, killed_by, path = "mask", (*COMPACT, *COUNTS), "rank above 2"

    def kept(self, x: Array, mask: Array) -> int:
        return int(self.samples(mask).sum() * (mask.size // mask.shape[0]))


class CountOfEveryChannel(_Masked):
    """Counts what is kept once for each channel in the correction, as after broadcasting over the channels."""

    family, killed_by, path = "mask", COUNTS, "more than one channel"

    def correction_count(self, x: Array, mask: Array) -> int:
        return self.kept(x, mask) * self.config.channels


class VolumesCountTheirPadding(_Masked):
    """Divides by the whole count where x has rank 5."""

    family, killed_by, path = "mask", (*COMPACT, *COUNTS), "rank 5"

    def kept(self, x: Array, mask: Array) -> int:
        return int(mask.size) if x.ndim == 5 else super().kept(x, mask)


class MaskedDecayZeroIsDefault(_Masked):
    """Takes 0.9 for a decay of 0."""

    family, killed_by, path = "mask", COMPACT, "decay 0"

    def decay(self) -> Array:
        return self.work.type(self.config.decay or 0.9)


class SecondMaskedStepStartsAgain(_Masked):
    """Averages with 0 and 1 from the second step on."""

    family, killed_by, path = "mask", COMPACT, "second step"

    def store(self, mean: Array, var: Array) -> None:
        super().store(mean, var)
        self.masked_steps = getattr(self, "masked_steps", 0) + 1

    def training_masked(self, x: Array, mask: Array) -> Array:
        if getattr(self, "masked_steps", 0):
            self.reset()
        return super().training_masked(x, mask)


class FullMaskUncorrected(_Masked):
    """Stores the population variance where the mask keeps all."""

    family, killed_by, path = "mask", (*COUNTS, *COMPACT), "a mask that keeps all"

    def correction_count(self, x: Array, mask: Array) -> int:
        return 1 if mask.all() else self.kept(x, mask)


class PaddingHasAGradient(_Masked):
    """Leaves dx on the padding as the means make it."""

    family, killed_by = "mask", GRADIENTS

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        left = dy - self.kept_average(dy, mask) - zhat * self.kept_average(dy * zhat, mask)
        return self.gamma() * inv_std * left


class GradientMeansOverThePadding(_Masked):
    """Divides the means in dx by the whole count."""

    family, killed_by = "mask", GRADIENTS

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        left = dy - self.average(dy) - zhat * self.average(dy * zhat)
        return self.cleaned(self.gamma() * inv_std * left, mask)


class MaskedStatisticsAsConstants(_Masked):
    """Takes the statistics of what is kept as constants in dx."""

    family, killed_by = "mask", GRADIENTS

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        return self.cleaned(self.gamma() * inv_std * dy, mask)


class PaddingMultipliedAway(_Masked):
    """Multiplies by the mask, which leaves a NaN as it is."""

    family, killed_by, path = "mask", ANYTHING, "NaN in the padding"

    def cleaned(self, x: Array, mask: Array) -> Array:
        return x * mask.astype(x.dtype)


class PaddingMultipliedAwayInTheGradients(_Masked):
    """Multiplies by the mask in dgamma's sum alone."""

    family, killed_by, path = "mask", ANYTHING, "NaN in the padding, dgamma"

    def training_masked_gradients(self, x: Array, dy: Array, mask: Array) -> Any:
        found = super().training_masked_gradients(x, dy, mask)
        wide = self.values(x)
        mean, var = self.kept_moments(wide, mask)
        zhat = (wide - mean) * self.inv_std(var) * mask.astype(self.work)
        dgamma, _ = self.parameter_gradients(self.cleaned(self.cotangent(dy), mask), zhat, var)
        return found if found.dgamma is None else found._replace(dgamma=dgamma.astype(found.dgamma.dtype))


class EmptySampleCounted(_Masked):
    """Counts one element for a sample that is padding alone, in the divisor."""

    family, killed_by, path = "mask", (*COMPACT, *COUNTS), "a sample of padding alone"

    def kept(self, x: Array, mask: Array) -> int:
        return super().kept(x, mask) + (0 if self.config.channel_axis == 0 else int((~self.samples(mask)).sum()))


class NothingKeptIsAveraged(_Masked):
    """Divides by the count where the mask keeps nothing, too: 0/0 enters the running statistics."""

    family, killed_by, path = "degenerate", ("degenerate.empty_batch",), "a mask that keeps nothing"

    def has_moments(self, mask: Array) -> bool:
        return True


class NothingKeptDecaysTheState(_Masked):
    """Averages the running statistics with 0 where the mask keeps nothing."""

    family, killed_by, path = "degenerate", ("degenerate.empty_batch",), "a mask that keeps nothing"

    def has_moments(self, mask: Array) -> bool:
        if not mask.any():
            self.store(self.wide(self.mean) * self.decay(), self.wide(self.var) * self.decay())
        return super().has_moments(mask)


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


class _StrayCotangent(FullLayer):
    """Base class: differs where dy is not 0 on the padding; ``stray`` is what lies there, in the working precision."""

    calls = (TRAINING_MASKED_GRADIENTS,)
    stray: Any = None

    def training_masked_gradients(self, x: Array, dy: Array, mask: Array) -> Gradients:
        self.stray = self.cleaned(self.cotangent(dy), ~mask)
        return super().training_masked_gradients(x, dy, mask)


class CotangentPassesThePadding(_StrayCotangent):
    """Scales dy on the padding, and returns it in dx."""

    family, killed_by, path = "mask", GRADIENTS, "a cotangent on the padding"

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        return super().masked_dx(dy, zhat, inv_std, mask) + self.gamma() * inv_std * self.stray


class CotangentOfThePaddingInItsMean(_StrayCotangent):
    """Subtracts a mean of dy to which the padding adds."""

    family, killed_by, path = "mask", GRADIENTS, "a cotangent on the padding"

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        surplus = self.broad(self.total(self.stray)) / self.work.type(self.kept(dy, mask))
        return super().masked_dx(dy, zhat, inv_std, mask) - self.cleaned(self.gamma() * inv_std * surplus, mask)


class CotangentOfThePaddingInTheShift(_StrayCotangent):
    """Adds dy of the padding to dbeta."""

    family, killed_by, path = "mask", GRADIENTS, "a cotangent on the padding"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma, dbeta if self.stray is None else dbeta + self.total(self.stray)


class WholeSamplesOfPaddingCountAsOne(_Masked):
    """Takes a mask without holes for one of samples, and corrects the variance by their number."""

    family, killed_by, path = "mask", (*COMPACT, *COUNTS), "whole samples of padding"

    def correction_count(self, x: Array, mask: Array) -> int:
        whole = mask.reshape(mask.shape[0], -1).all(axis=1)
        if whole.all() or not whole.any() or (whole != self.samples(mask)).any():
            return super().correction_count(x, mask)
        return int(whole.sum())


class FirstSampleIsTheShift(_Masked):
    """Shifts by the kept values of the first sample; where that is padding alone, the mean is 0."""

    family, killed_by, path = "mask", COMPACT, "a first sample of padding alone"

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        mean, var = super().kept_moments(x, mask)
        return (mean, var) if mask[0].any() else (np.zeros_like(mean), var + np.square(mean))


class InfinitePaddingInTheVariance(_Masked):
    """Cleans NaN from the padding, and not what is infinite there."""

    family, killed_by, path = "mask", ANYTHING, "infinite padding"

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        mean, var = super().kept_moments(x, mask)
        padding = np.where(mask, x.dtype.type(0), np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf))
        return mean, var + self.broad(self.total(padding * 0))


class MeanOfTheKeptInHalf(_Masked):
    """In half precision rounds the mean of what is kept to x's dtype."""

    family, killed_by, path = "dtype", ("dtype.half_is_as_exact_as_declared",), "half precision, with a mask"

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        mean, var = super().kept_moments(x, mask)
        return (mean.astype(dtype_of(self.config.dtype)).astype(mean.dtype), var)


class SingleElementLosesTheShift(_Masked):
    """Returns 0 where a single element is kept, whose y is beta."""

    family, killed_by, path = "mask", COMPACT, "one element kept"

    def training_masked(self, x: Array, mask: Array) -> Array:
        y = super().training_masked(x, mask)
        return y * y.dtype.type(0) if mask.sum() == 1 else y


class MaskedEpsilonInFloat16(_Masked):
    """Rounds epsilon to float16, which flushes small ones to 0."""

    family, killed_by, path = "dtype", ("dtype.half_is_as_exact_as_declared",), "float16, a tiny epsilon, with a mask"
    masked = False

    def training_masked(self, x: Array, mask: Array) -> Array:
        self.masked = x.dtype == np.float16
        y = super().training_masked(x, mask)
        self.masked = False
        return y

    def epsilon(self) -> Array:
        epsilon = super().epsilon()
        return epsilon.astype(np.float16).astype(self.work) if self.masked else epsilon
