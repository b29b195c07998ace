"""The arithmetic of the stability study on exact laws: exponents, intervals, classes, and where half of the digits are gone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bnspec.conformance.stability.fit import RESOLUTION, crossing, curve_of, growth, is_late, stability_class
from bnspec.conformance.stability.plan import kappas_of
from bnspec.model.precision import PRECISIONS
from bnspec.reports.run.stability import StabilityCurve
from bnspec.reports.tables.stability import half_text

U = PRECISIONS["float32"].unit_roundoff
KAPPAS = np.array(kappas_of("float32", fine=True))


def law(power: float, constant: float = 0.5, floor: float = 0.5, spread: float = 0.0, replicates: int = 6) -> Any:
    """floor + constant kappa^power at each kappa, with a factor of its own for each replicate."""
    rng = np.random.default_rng(1)
    clean = floor + constant * KAPPAS[:, None] ** power
    return clean * np.exp(spread * rng.standard_normal((len(KAPPAS), replicates)))


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5, 2.0])
def test_the_exponent_of_an_exact_law_is_found(power: float) -> None:
    """Without floor and noise, to six digits, and the interval is a point."""
    found = growth(KAPPAS, law(power, floor=0.0), U)
    assert found.kind == "fitted"
    assert found.exponent == pytest.approx(power, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((power, power), abs=1e-6)
    assert found.onset == pytest.approx(2.0 ** (1.0 / power))


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_interval_of_a_noisy_law_holds_its_exponent(power: float) -> None:
    """With a floor, and errors that vary by a factor of two."""
    found = growth(KAPPAS, law(power, spread=0.7, replicates=12), U)
    assert found.low - 0.05 <= power <= found.high + 0.05
    assert found.high - found.low < 0.5


def test_resamples_without_an_exponent_are_left_out_of_the_interval() -> None:
    """Two of five replicates do not grow: where they are the majority of a resample there is nothing to fit."""
    errors = np.ones((8, 5))
    errors[3:6, :3], errors[6:] = np.array([[10.0], [30.0], [90.0]]), 1e30
    found = growth(10.0 ** np.arange(8), errors, U)
    assert found.kind == "fitted"
    assert found.low == pytest.approx(found.exponent)
    assert found.high == pytest.approx(found.exponent)


def test_one_wild_point_does_not_move_the_exponent() -> None:
    """The slopes' median ignores it, where least squares would not."""
    errors = law(1.0, floor=0.0)
    errors[12] *= 1000.0
    assert growth(KAPPAS, errors, U).exponent == pytest.approx(1.0, abs=0.05)


def test_saturated_points_are_not_fitted() -> None:
    """From 1/8 of the value on an error follows no law: with a ceiling of 1/u the exponent of kappa^2 stays 2."""
    errors = np.minimum(law(2.0, floor=0.0), 1.0 / U)
    found = growth(KAPPAS, errors, U)
    assert found.exponent == pytest.approx(2.0, abs=1e-6)
    assert found.points < len(KAPPAS)


def test_nothing_to_fit_is_flat() -> None:
    """Errors within a factor of four of their floor have exponent 0 and class 0."""
    found = growth(KAPPAS, law(0.0, spread=0.2), U)
    assert (found.kind, found.exponent, stability_class(found, U)) == ("flat", 0.0, 0)


def test_a_growth_too_short_to_fit_has_no_exponent() -> None:
    """Two points before saturation: none is named, and no class either; one that starts late is not of class 2."""
    sudden = law(0.0)
    sudden[1:3], sudden[3:] = 1e3, np.inf
    assert growth(KAPPAS, sudden, U).kind == "few"
    assert stability_class(growth(KAPPAS, sudden, U), U) is None
    late = law(0.0)
    late[-2:] = 1e3
    assert stability_class(growth(KAPPAS, late, U), U) == 1


def test_growth_like_the_square_counts_as_class_2_from_the_start_only() -> None:
    """kappa^2 u is one-pass; (kappa u)^2, in units kappa^2 u itself, starts beyond u^(-1/4)."""
    first, second = growth(KAPPAS, law(2.0), U), growth(KAPPAS, law(2.0, constant=U), U)
    assert second.exponent == pytest.approx(2.0, abs=0.2)
    assert (stability_class(first, U), stability_class(second, U)) == (2, 1)
    assert is_late(second, U)


@pytest.mark.parametrize(("power", "kind"), [(0.4, 0), (0.6, 1), (1.4, 1), (1.6, 2)])
def test_the_borders_of_the_classes_are_one_half_and_three_halves(power: float, kind: int) -> None:
    """As the docstring of the rule says."""
    assert stability_class(growth(KAPPAS, law(power, floor=0.0), U), U) == kind


@pytest.mark.parametrize(("power", "constant"), [(1.0, 1.0), (2.0, 0.3)])
def test_the_half_digits_point_is_interpolated(power: float, constant: float) -> None:
    """On log-log axes a power law is a line: the crossing is exact between the points."""
    level = U**-0.5
    found = crossing(KAPPAS, constant * KAPPAS**power, level)
    assert found.at == pytest.approx((level / constant) ** (1.0 / power), rel=1e-9)
    assert found.at not in KAPPAS


def test_a_crossing_that_is_not_reached_is_beyond_the_sweep() -> None:
    """None, with the last place; a curve that starts above crosses at its first place."""
    assert crossing(KAPPAS, np.ones(len(KAPPAS)), 2.0) == (None, KAPPAS[-1])
    assert crossing(KAPPAS, np.full(len(KAPPAS), 3.0), 2.0).at == KAPPAS[0]


@pytest.mark.parametrize(
    ("kappa_half", "beyond", "text"),
    [(42.3, 1e7, "42"), (6123.0, 1e7, "6,100"), (None, 2.86e7, "> 2.9e7"), (1.234, 9.0, "1.2"), (None, None, "-")],
)
def test_a_kappa_is_shown_in_two_digits(kappa_half: float | None, beyond: float | None, text: str) -> None:
    """Plain below 100,000, and with > where the sweep ends before it."""
    curve = StabilityCurve(
        backend="numpy", device="cpu", threads=None, form="plain", dtype="float32", output="y", stored="float32",
        unit_roundoff=U, stability_class=None, late=False, sure=True, p=None, q=None, kappa_half=kappa_half,
        beyond=beyond, least_units=None, with_kappa=None, with_count=None,
    )  # fmt: skip
    assert half_text(curve) == text


def test_missing_replicates_are_left_out_and_infinite_ones_are_large() -> None:
    """The median of what is there."""
    nan, inf = math.nan, math.inf
    errors = np.array([[1.0, 2.0, nan], [1.0, inf, inf], [nan, nan, nan], [4.0, nan, nan]])
    np.testing.assert_array_equal(curve_of(errors), [1.5, inf, nan, 4.0])


def test_a_zero_error_is_chance() -> None:
    """It counts as RESOLUTION and does not turn the rest into growth."""
    errors = law(0.0, constant=0.0, floor=2.0 * RESOLUTION)
    errors[0] = 0.0
    assert growth(KAPPAS, errors, U).kind == "flat"
