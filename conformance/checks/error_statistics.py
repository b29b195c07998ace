"""The check of accuracy.errors_are_unbiased: the mean of rounding errors over many channels.

A bound on each error cannot tell a rounding to nearest from a truncation: both stay within it. Their means over independent
channels differ. Two means are tested, in units of u of the output's dtype, u times the mean magnitude of the channel's values:

    offset   mean e                  results lie above or below the exact values
    gain     mean e sign(exact)      results are too large or too small in magnitude

A mean m over C channels with the standard error s breaks the clause where |m| > admitted + t s. Alarms on a layer whose expected
error is admitted have probability ``ALPHA`` at most in each test, since t is the quantile of Student's distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.special import stdtrit

from bnspec.arithmetic.quad import double, quad
from bnspec.conformance.cases.many_channels import CHANNELS, COUNT
from bnspec.conformance.checks.check import INFERENCE_CALLS, TRAINING_CALLS, Check, count_of
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import FIT
from bnspec.model.case import Step
from bnspec.model.conventions import HALVES
from bnspec.model.precision import PRECISIONS, Precision, units_of
from bnspec.oracle.expected import Expected
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import Relation

#: The probability of a false alarm in one test; a quick run makes 40 of them on a target.
ALPHA = 1e-6
#: The good bound of a channel is at most so many u of its values, or the output is no sample: where sums cancel, errors have no scale.
CONDITIONED = 4096.0
#: What a reciprocal root may be off on average at most, in u of the arithmetic. Newton's last factor is 1 - error, rounded to multiples of
#: u below 1 and of 2u above: there up to u is lost, half of the time.
OF_RECIPROCAL_ROOT = 0.5
#: Sums of an inference's gradients; and what an inference leaves as it is.
SUMS, STATE = ("dgamma", "dbeta"), ("running_mean", "running_var")
SPOKEN = {
    "running_mean": "the running mean",
    "running_var": "the running variance",
    "mean": "the fitted mean",
    "var": "the fitted variance",
}


@dataclass(frozen=True)
class Bias:
    """One mean of errors over channels, in u.

    Attributes:
        relation: "no_offset" or "no_gain".
        mean, spread: of the channels' errors; channels: how many.
        admitted: what correct layers may have in every channel.
    """

    relation: Relation
    mean: float
    spread: float
    channels: int
    admitted: float

    def chance(self, alpha: float) -> float:
        """How far the mean is off by chance, but for this probability: Student's quantile of standard errors."""
        return float(-stdtrit(self.channels - 1, alpha / 2.0)) * self.spread / math.sqrt(self.channels)

    @property
    def limit(self) -> float:
        """The largest mean that keeps the clause."""
        return self.admitted + self.chance(ALPHA)

    @property
    def ratio(self) -> float:
        """|mean| / limit; 0 where all errors are 0, and infinite where they are all the same and none is admitted."""
        if not self.mean:
            return 0.0
        return abs(self.mean) / self.limit if self.limit else math.inf

    def sentence(self, output: str) -> str:
        """What a user sees."""
        low, high = ("below", "above") if self.relation == "no_offset" else ("smaller than", "larger than")
        value = "the exact value" if self.relation == "no_offset" else "the exact value in magnitude"
        return (
            f"{SPOKEN.get(output, output)} is on average {abs(self.mean):.2f} u {low if self.mean < 0 else high} {value} "
            f"(over {self.channels:,} channels, with a spread of {self.spread:.2f} u; a correct result is within "
            f"{self.limit:.2f} u)"
        )


def is_sample(oracle: Oracle, step: Step) -> Mask:
    """All channels of a step that is a sample: many channels, each of them random, and nothing rounded alike in all of them.

    Of what a case draws (``cases/many_channels.py``) only what has so many channels is: there dy makes the part of dx that a root in error enters three times
    symmetric, so that ``admitted_gain`` is right of it. A case that was made smaller is none.
    """
    case, config, count = oracle.case, oracle.case.config, count_of(oracle.case, step)
    fair = (
        bool(case.origin.get("draws"))
        and config.channels >= CHANNELS
        and count >= COUNT
        and count & (count - 1) == 0
        and math.frexp(config.epsilon)[0] in (0.0, 0.5)
        and (16.0 * config.decay).is_integer()
        and (config.dtype in HALVES or distinct(case.arrays[step.inputs[0]], 2))
        and (step.call.mode != "inference" or distinct(case.arrays["running_var"], 8))
    )
    return np.full(config.channels, fair)


def distinct(array: np.ndarray, part: int) -> bool:
    """Whether at least one in ``part`` values of an array differs from all others: equal values are rounded alike."""
    return np.unique(array.astype(np.float64)).size * part >= array.size


def in_half_statistics(exam: Examination, i: int) -> bool:
    """Whether statistics and sums are declared to be formed in half precision.

    Such sums stagnate, and products of few digits are rounded to one side: their errors have a direction.
    """
    config = exam.built(i).config
    formed = units_of(exam.conventions, config.dtype, config.parameter_dtype).statistics
    return config.dtype in HALVES and formed != PRECISIONS["float32"]


def declined(exam: Examination, i: int) -> str:
    """Why a training step is not judged: all its results are made of sums."""
    if exam.step(i).call.mode == "inference" or not in_half_statistics(exam, i):
        return ""
    return "statistics are declared to be formed in half precision"


def errors_are_unbiased(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The worst ratio of a mean error to what is admitted, over the step's outputs; None where none is a sample."""
    found = [(bias, name) for name in exam.expected(i) for bias in biases(exam, i, name)]
    if not found:
        return None
    bias, name = max(found, key=lambda pair: pair[0].ratio)
    if bias.ratio <= 1.0:
        return Judgement.kept(bias.ratio)
    numbers = 0.0, bias.mean, bias.limit
    return exam.broken(i, bias.relation, bias.sentence(name), output=name, numbers=numbers, ratio=bias.ratio)


def biases(exam: Examination, i: int, name: str) -> list[Bias]:
    """Offset and gain of an output; none where it is no sample.

    Outputs that are wider than x are left out: their errors are those of sums of x's few digits, which have a direction.
    """
    config, got, expected = exam.built(i).config, exam.got(i, name), exam.expected(i)[name]
    if got is None or got.shape != expected.value.shape or got.dtype.name != config.dtype:
        return []
    if exam.step(i).call.mode == "inference" and (name in STATE or (name in SUMS and in_half_statistics(exam, i))):
        return []
    precision = PRECISIONS[config.dtype]
    exact, errors = rows(expected.rounded, config.channel_axis), rows(error_of(got, expected), config.channel_axis)
    size = np.mean(np.abs(exact), axis=1) * precision.unit_roundoff
    good = np.mean(rows(np.broadcast_to(expected.bounds["good"], got.shape), config.channel_axis), axis=1)
    judged = np.isfinite(errors).all(axis=1) & (good <= CONDITIONED * size) & (size > 0.0)
    if not judged.all():
        return []
    part, admitted = scaled_part(exam, i, name, exact), admitted_gain(exam, i, name, precision)
    found: list[Bias] = []
    signs: tuple[tuple[Relation, np.ndarray], ...] = (("no_offset", np.ones_like(exact)), ("no_gain", np.sign(exact)))
    for relation, sign in signs:
        share = abs(float(np.mean(np.mean(part * sign, axis=1) / size))) * precision.unit_roundoff
        found.append(bias_of(relation, np.mean(errors * sign, axis=1) / size, admitted * share))
    return found


def bias_of(relation: Relation, errors: np.ndarray, admitted: float) -> Bias:
    """The mean of the channels' errors, in u."""
    return Bias(relation, float(errors.mean()), float(errors.std(ddof=1)), errors.size, admitted)


def error_of(got: np.ndarray, expected: Expected) -> np.ndarray:
    """got - exact, as float64."""
    if got.dtype == np.float64:
        return np.asarray(double(quad(got) - expected.value))
    return np.asarray(got.astype(np.float64) - expected.rounded)


def rows(array: np.ndarray, axis: int) -> np.ndarray:
    """The values of each channel as a row: shape (C, values of the channel)."""
    if array.ndim == 1:
        return array[:, None]
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def scaled_part(exam: Examination, i: int, name: str, exact: np.ndarray) -> np.ndarray:
    """The part of the values that has the factors of ``admitted_gain``: y without beta, the running variance without the old one."""
    case = exam.built(i)
    if name == "y" and "beta" in case.arrays:
        return np.asarray(exact - case.arrays["beta"].astype(np.float64)[:, None])
    if name == "running_var":
        return np.asarray(exact - case.config.decay * exam.result(i).before[name].astype(np.float64)[:, None])
    return exact


def admitted_gain(exam: Examination, i: int, name: str, storage: Precision) -> float:
    """The relative error that a correct layer may have in every channel alike, in u of the output.

    1. a reciprocal root:                  1/2 u of the precision in which it is formed; in y, dx and dgamma
    2. the correction m / (m - 1) of variances, as a constant rounded to the statistics' or the parameters' precision:
       its own error, exactly, in the running variance where that is corrected; half of it in 1 where the variance that
       normalises is corrected

    The count, epsilon and decay of a sample are exact in every precision.
    """
    case, conventions, step = exam.built(i), exam.conventions, exam.step(i)
    units = units_of(conventions, case.config.dtype, case.config.parameter_dtype)
    correction = rounding_of_correction(count_of(case, step), (units.statistics, units.parameter))
    if name == "running_var":
        return correction * conventions.running_correction / storage.unit_roundoff
    if name not in ("y", "dx", "dgamma"):
        return 0.0
    coarser = max(units.arithmetic, units.statistics, key=lambda p: p.unit_roundoff)
    formed = units.arithmetic if step.call.mode == "inference" else coarser
    corrected = step.call.mode == "training" and conventions.normalising_correction
    own = correction / 2.0 if corrected else 0.0
    return (OF_RECIPROCAL_ROOT * formed.unit_roundoff + own) / storage.unit_roundoff


def rounding_of_correction(count: int, precisions: tuple[Precision, ...]) -> float:
    """The relative error of count / (count - 1), rounded to nearest: the largest over the precisions."""
    exact = Fraction(count, count - 1)  # in [1, 2): the spacing is 2u
    spacings = [Fraction(2.0 * p.unit_roundoff) for p in precisions]
    return float(max(abs(round(exact / spacing) * spacing - exact) for spacing in spacings) / exact)


CHECKS = (
    Check(
        "accuracy.errors_are_unbiased",
        (*TRAINING_CALLS, *INFERENCE_CALLS, FIT),
        errors_are_unbiased,
        is_sample,
        declines=declined,
    ),
)
