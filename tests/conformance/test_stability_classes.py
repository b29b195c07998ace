"""Classes and exponents of the algorithms they are meant to tell apart, computed in this process."""

from __future__ import annotations

import numpy as np
import pytest

from bnspec.conformance.selftest.soundness import data, reductions
from bnspec.conformance.selftest.soundness.algorithms import ALGORITHMS
from bnspec.conformance.selftest.soundness.experiment import BoundExperiment
from bnspec.conformance.stability.fit import (
    GROWS_FROM,
    STABLE_BELOW,
    Growth,
    crossing,
    curve_of,
    growth,
    stability_class,
)
from bnspec.model.precision import PRECISIONS

U = PRECISIONS["float32"].unit_roundoff
KAPPAS = 10.0 ** np.arange(0.0, 6.1, 0.5)
COUNTS = np.array([16, 64, 256, 1024])
RANDOM = 3  # channels of each kind, the random ones first


def errors_of_y(name: str) -> np.ndarray:
    """The largest errors of zhat in the random channels at each kappa, shape (P, RANDOM), in units of u."""
    algorithm = next(a for a in ALGORITHMS if a.name == name)
    errors = []
    for kappa in KAPPAS:
        experiment = BoundExperiment.of(data.draw("float32", float(kappa), 64, 3, each=RANDOM), 1e-5, 0.9)
        got, expected = experiment.outcome(algorithm)["training y"]
        gamma = experiment.layer.arrays["gamma"].astype(np.float64)[:, None]
        off = np.abs((got - expected.rounded) / gamma)[:RANDOM] / U
        errors.append(np.where(np.isnan(off), np.inf, off).max(axis=1))
    return np.array(errors)


@pytest.mark.parametrize(
    "name",
    [
        "two-pass, one by one",
        "Welford",
        "Chan, four parts",
        "one-pass shifted by a sample",
        "pairwise",
        "folded",
        "Kahan",
    ],
)
def test_errors_of_stable_algorithms_grow_with_kappa_at_most(name: str) -> None:
    """Class 0 or 1."""
    assert stability_class(growth(KAPPAS, errors_of_y(name), U), U) in (0, 1)


@pytest.mark.parametrize("name", ["one-pass", "one-pass, not clipped", "one-pass, differentiated"])
def test_the_one_pass_variance_is_recognised(name: str) -> None:
    """Class 2: its errors grow with the square of kappa, until nothing is left; half of the digits go before kappa is 1000."""
    errors = errors_of_y(name)
    assert stability_class(growth(KAPPAS, errors, U), U) == 2
    half = crossing(KAPPAS, curve_of(errors), U**-0.5).at
    assert half is not None
    assert half <= 1e3


def growth_of_sums(total: reductions.Sum) -> Growth:
    """The growth with the count of the relative error of sums of positive values chosen to round upwards.

    Around 67 sums of 2^k values stay just above a power of two, where a rounding weighs most.
    """
    rng, errors = np.random.RandomState(0), []
    for count in COUNTS:
        x = np.concatenate([np.abs(kind(rng, 66.0, 8, int(count))) for kind in data.ADVERSARIES]).astype(np.float32)
        exact = x.astype(np.float64).sum(axis=1)
        errors.append(np.abs(total(x) - exact) / exact / U)
    return growth(COUNTS.astype(float), np.array(errors), U, whole=True)


@pytest.mark.parametrize("total", [reductions.sequential, reductions.backwards, reductions.threads])
def test_sums_one_after_the_other_grow_with_the_count(total: reductions.Sum) -> None:
    """On data that round one way, their exponent is nearer to 1 than to 0 or 2."""
    assert GROWS_FROM <= growth_of_sums(total).exponent < STABLE_BELOW


@pytest.mark.parametrize(
    "total", [reductions.tree, reductions.pairwise, reductions.kahan, reductions.neumaier, reductions.wide]
)
def test_sums_by_halves_and_compensated_or_wider_ones_do_not(total: reductions.Sum) -> None:
    """On the same data: a logarithm has a small exponent, and what stays below a unit has none."""
    assert growth_of_sums(total).exponent < GROWS_FROM
