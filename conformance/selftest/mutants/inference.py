"""Mutants of inference."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer

Array = Any
Moments = Tuple[Array, Array]

INFERENCE = ("inference.output",)


class BatchStatisticsInInference(PlainLayer):
    """Normalises in inference by the batch's own statistics."""

    family, killed_by = "inference", ("inference.output", "inference.value_is_independent_of_batch")

    def inference_statistics(self, x: Array) -> Moments:
        return self.moments(x)


class BatchStatisticsForRankThreeInference(PlainLayer):
    """Normalises sequences in inference by the batch's own statistics."""

    family, killed_by, path = "inference", INFERENCE, "inference, rank 3"

    def inference_statistics(self, x: Array) -> Moments:
        return self.moments(x) if x.ndim == 3 else super().inference_statistics(x)


class BatchStatisticsWithoutGradients(PlainLayer):
    """Normalises by the batch's own statistics in inference without gradients."""

    family, killed_by, path = "inference", INFERENCE, "inference without gradients"

    def inference(self, x: Array) -> Array:
        wide = self.values(x)
        mean, var = self.moments(wide)
        return self.output(wide, mean, self.inv_std(var)).astype(self.result_dtype(x))


class InstanceStatisticsForOneRow(PlainLayer):
    """Normalises a single row in inference by its own statistics."""

    family, killed_by, path = "inference", ("inference.value_is_independent_of_batch",), "inference, a batch of 1"

    def inference_statistics(self, x: Array) -> Moments:
        if x.shape[0] == 1 and self.config.channel_axis != 0:
            return self.moments(x)
        return super().inference_statistics(x)


class CorrectionInInference(PlainLayer):
    """Applies m / (m - 1) of the present batch to the running variance in inference."""

    family, killed_by, path = "inference", ("inference.value_is_independent_of_batch", *INFERENCE), "inference"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return mean, self.corrected(var, self.count(x))


class RunningDeviationExpected(PlainLayer):
    """Takes the running variance for a standard deviation."""

    family, killed_by, path = "inference", INFERENCE, "inference"

    def inference_inv_std(self, var: Array) -> Array:
        return super().inference_inv_std(np.square(var))


class RunningMeanForgotten(PlainLayer):
    """Divides, and does not centre, in inference."""

    family, killed_by, path = "inference", INFERENCE, "inference"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return np.zeros_like(mean), var


class FoldedInHalf(PlainLayer):
    """Keeps the folded scale of inference in float16."""

    family, killed_by, path = "inference", INFERENCE, "inference"

    def inference_inv_std(self, var: Array) -> Array:
        return super().inference_inv_std(var).astype(np.float16).astype(self.work)


class OutputClipped(PlainLayer):
    """Clips y to the range of -8 to 8."""

    family, killed_by, path = "inference", INFERENCE, "|y| above 8"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return np.clip(super().output(x, mean, inv_std), -8, 8)


class OneSequenceSqueezed(PlainLayer):
    """Returns one sequence alone without its batch axis, in inference."""

    family, killed_by, path = "contract", ("contract.shapes",), "a batch of one sequence"

    def inference(self, x: Array) -> Array:
        y = super().inference(x)
        return y[0] if y.ndim == 3 and len(y) == 1 else y


class InvStdLimitedInInference(PlainLayer):
    """Limits the reciprocal standard deviation to a million."""

    family, killed_by, path = "inference", INFERENCE, "vanishing variances, no epsilon"

    def inference_inv_std(self, var: Array) -> Array:
        return np.minimum(super().inference_inv_std(var), self.work.type(1e6))
