"""The check of the family accuracy: whether a result keeps a digit where good sums do."""

from __future__ import annotations

import numpy as np

from bnspec.conformance.checks.check import TRAINING_CALLS, Check, in_full_precision
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import FIT
from bnspec.oracle.expected import Expected

#: Names for people.
SPOKEN = {
    "running_mean": "running mean",
    "running_var": "running variance",
    "mean": "fitted mean",
    "var": "fitted variance",
}
#: Losses beyond the worst case of good sums that are admitted: two bits, for sums in a few lanes and for Welford's update; two
#: digits where terms may cancel, so that the clause speaks where three digits are promised and asks for one.
TWO_BITS, TWO_DIGITS = 4.0, 100.0


def keeps_a_digit(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The worst ratio of a step's results to what is admitted; None when nothing can be judged.

    Results beyond their permissive bound are not judged: no order of summation explains them, and other clauses name them.
    """
    worst: Judgement | None = None
    for name, expected in exam.expected(i).items():
        got = exam.got(i, name)
        if name not in SCALES or got is None or got.shape != expected.value.shape or not got.size:
            continue
        judged = exam.spread(channels, got.shape, i) & np.isfinite(got.astype(np.float64))
        beyond = exam.ratios(i, name, "permissive")
        if beyond is None or (judged & (beyond > 1.0)).any():
            continue
        limit = admitted(exam, i, name, expected)
        ratio = exam.ratios_to(i, name, limit)
        assert ratio is not None  # it was there a moment ago
        judged &= ~np.isnan(ratio) & ~np.isnan(beyond)
        if not judged.any():
            continue
        ratio = np.where(judged, ratio, 0.0)
        index = np.unravel_index(int(ratio.argmax()), ratio.shape)
        exact = expected.rounded[index]
        channel = index[0 if len(index) == 1 else exam.built(i).config.channel_axis]
        what = f"{SPOKEN.get(name, name)} of channel {channel}"
        message = f"the {what} is {float(got[index]):.7g}, exact {exact:.7g}"
        numbers = np.asarray(expected.rounded), got, np.broadcast_to(limit, got.shape)
        found = exam.worst_element(i, "within_bound", name, ratio, numbers, message)
        if worst is None or found.ratio > worst.ratio:
            worst = found
    return worst


def admitted(exam: Examination, i: int, name: str, expected: Expected) -> np.ndarray:
    """The largest error that keeps a digit of the scale, or that is within two bits of the bound of good sums.

    y:               max(4 good, (|beta| + max |y - beta|) / 10)     per channel
    dx:              max(4 good, |gamma| inv_std max |dy| / 10)      per channel
    the mean:        max(4 good, sqrt(var + epsilon) / 10)           what x - mean is divided by
    the variance:    max(4 good, |variance| / 10)
    dgamma, dbeta:   max(100 good, |value| / 10)                     sums that cancel have no scale of their own
    """
    good = expected.bounds["good"]
    if name in ("dgamma", "dbeta"):
        return np.maximum(TWO_DIGITS * good, np.abs(expected.rounded) / 10.0)
    scale = SCALES[name](exam, i, expected)
    return np.asarray(np.maximum(TWO_BITS * good, np.broadcast_to(scale, good.shape) / 10.0))


def of_output(exam: Examination, i: int, expected: Expected) -> np.ndarray:
    """|beta| + max |y - beta| of each channel."""
    config = exam.built(i).config
    beta = exam.built(i).arrays.get("beta", np.zeros(config.channels)).astype(np.float64).reshape(config.channel_shape)
    largest = np.max(np.abs(expected.rounded - beta), axis=config.reduce_axes, keepdims=True)
    return np.asarray(np.abs(beta) + largest)


def of_dx(exam: Examination, i: int, expected: Expected) -> np.ndarray:
    """|gamma| inv_std max |dy| of each channel."""
    config, case = exam.built(i).config, exam.built(i)
    gamma = case.arrays.get("gamma", np.ones(config.channels)).astype(np.float64).reshape(config.channel_shape)
    dy = np.abs(case.arrays[exam.step(i).inputs[1]].astype(np.float64))
    return np.asarray(
        np.abs(gamma) * np.max(dy, axis=config.reduce_axes, keepdims=True) / deviation(exam, i).reshape(gamma.shape)
    )


def deviation(exam: Examination, i: int) -> np.ndarray:
    """sqrt(var + epsilon) of each channel of the step's x, (C,)."""
    config = exam.built(i).config
    batch = exam.oracle_at(i).batch(exam.step(i).inputs[0], config.epsilon)
    return np.asarray(np.sqrt(batch.var64.reshape(-1) + config.epsilon))


def of_running_mean(exam: Examination, i: int, expected: Expected) -> np.ndarray:
    """What x - mean is divided by."""
    return deviation(exam, i)


def of_fitted_mean(exam: Examination, i: int, expected: Expected) -> np.ndarray:
    """The standard deviation that is fitted with it."""
    return np.sqrt(exam.expected(i)["var"].rounded)


def of_variance(exam: Examination, i: int, expected: Expected) -> np.ndarray:
    """The variance itself."""
    return np.abs(expected.rounded)


SCALES = {
    "y": of_output,
    "dx": of_dx,
    "dgamma": of_variance,
    "dbeta": of_variance,
    "running_mean": of_running_mean,
    "running_var": of_variance,
    "mean": of_fitted_mean,
    "var": of_variance,
}

CHECKS = (Check("accuracy.keeps_a_digit", (*TRAINING_CALLS, FIT), keeps_a_digit, in_full_precision),)
