"""The bounds against correct algorithms, a quick part of `make bounds`, and their outcomes at the edges of the range."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pytest

from bnspec.arithmetic.quad import quad
from bnspec.bounds import batch_norm as bounds
from bnspec.conformance.selftest.soundness.algorithms import ALGORITHMS, Algorithm
from bnspec.conformance.selftest.soundness.data import draw
from bnspec.conformance.selftest.soundness.experiment import STATE, Trial, trials, worst_by_channel
from bnspec.conformance.selftest.soundness.record import NEAR, NEAR_GOOD, SOUND, Record
from bnspec.contract import LayerConfig
from bnspec.exact.quantities import Batch
from bnspec.model.conventions import DTYPES, Conventions
from bnspec.model.precision import PRECISIONS, units_of
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.oracle import TIERS, Expected

BY_NAME = {a.name: a for a in ALGORITHMS}
PLAIN = BY_NAME["pairwise"]
DIFFERENT = 24  # the issue asks for 20 at least


@functools.cache
def quick_record() -> Record:
    """A quick part of what `make bounds` runs."""
    record = Record().run(trials(DTYPES, (1.0, 1e4), (2, 7, 33), seeds=1, each=1), ALGORITHMS)
    record.run(trials(("float32", "float64"), (0.0, 1e2), (1, 2, 3), seeds=1), ALGORITHMS)
    return record.search(ALGORITHMS, counts=(2,), steps=6)


def test_no_correct_algorithm_exceeds_a_bound_that_admits_it() -> None:
    """In every tier, for every output, dtype, kappa, count and kind of data that the quick part holds."""
    assert not [c for c in quick_record().complaints() if c.startswith("unsound")]
    assert max(r for r, *_ in quick_record().by_output.values()) <= SOUND


def test_every_output_has_an_algorithm_near_its_permissive_bound() -> None:
    """At small counts: a bound that nobody comes near is no bound."""
    assert {o: n for o, n in quick_record().near.items() if n[0] < NEAR} == {}


def test_half_of_the_good_algorithms_are_near_the_good_bound() -> None:
    """The good tier is sharp for what it names, in every output."""
    record = quick_record()
    assert {o: record.median_good(o) for o in record.outputs if record.median_good(o) < NEAR_GOOD} == {}


def test_the_experiment_has_enough_different_algorithms() -> None:
    """By name, and by the pieces they are made of; at least eight of them good."""
    names = {a.name for a in ALGORITHMS}
    pieces = {(a.total, a.moments, a.root, a.forward, a.backward, a.update, a.half) for a in ALGORITHMS}
    assert len(names) == len(pieces) == len(ALGORITHMS) >= DIFFERENT
    assert sum(a.tier == "good" for a in ALGORITHMS) >= 8


@pytest.mark.parametrize("name", ["one-pass", "one-pass, not clipped", "one-pass, differentiated"])
def test_the_permissive_bound_is_left_by_a_one_pass_variance(name: str) -> None:
    """At kappa 1e4 in float32: the tier tells stable algorithms from others, in y and in the running variance."""
    trial = Trial.of(draw("float32", 1e4, 33, 1), 1e-5, 0.9, kappa=1e4)
    outcome = trial.outcome(BY_NAME[name])
    for output in ("training y", "training running_var"):
        assert np.nanmax(worst_by_channel(*outcome[output], "permissive")) > 10.0 * SOUND
        assert np.nanmax(worst_by_channel(*outcome[output], "lenient")) <= SOUND


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_tiers_are_ordered(dtype: str) -> None:
    """good <= permissive <= lenient, element by element."""
    for trial in trials((dtype,), (0.0, 1e2, 1e6), (1, 2, 9, 64, 300), seeds=1, each=1):
        training, inference = trial.layer_answers
        layer_norm = trial.as_layer_norm.expected
        for answers in (training, inference, trial.fit_answers, layer_norm):
            for name, expected in answers.items():
                lenient, permissive, good = (expected.bounds[t] for t in TIERS)
                assert (good <= permissive).all(), (name, trial.label)
                assert (permissive <= lenient).all(), (name, trial.label)


def test_the_good_tier_s_chains_are_short() -> None:
    """As long as a leaf at most up to LEAF values, then one longer at each doubling."""
    assert [bounds.growth(n, "good") for n in (0, 1, 2, 32, 33, 64, 65, 2**20)] == [0, 0, 1, 31, 32, 32, 33, 46]
    assert [bounds.growth(n, "permissive") for n in (0, 1, 2, 33, 2**20)] == [0, 0, 1, 32, 2**20 - 1]


# --- the edges of the range ---------------------------------------------------------------------------------------------


def flushed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Subnormal values replaced by zeros of their sign."""
    return {
        n: np.where(np.abs(a) < np.finfo(a.dtype).tiny, np.copysign(a.dtype.type(0), a), a) for n, a in arrays.items()
    }


@pytest.mark.parametrize("name", ["pairwise", "Welford", "folded", "differentiated graph", "one-pass"])
@pytest.mark.parametrize("exponent", [-149, -130, -126, -100])
def test_subnormal_inputs_may_be_flushed_to_zero(name: str, exponent: int) -> None:
    """Values around and below float32's smallest normal number: kept or flushed, both conform."""
    arrays = draw("float32", 1.0, 9, 3)
    arrays |= {n: np.ldexp(arrays[n], exponent).astype(np.float32) for n in ("x", "dy")}
    algorithm = BY_NAME[name]
    trial = Trial.of(arrays, 1e-5, 0.9)
    other = Trial.of(flushed(arrays), 1e-5, 0.9)
    for run in (trial, other):
        for output, (got, _) in run.outcome(algorithm).items():
            if output.startswith(("training", "inference", "fitted")):
                answers = trial.layer_answers if not output.startswith("fitted") else (trial.fit_answers,)
                expected = answers[1 if output.startswith("inference") else 0][output.split()[1]]
                assert not (worst_by_channel(got, expected, "lenient") > SOUND).any(), output


def expected_of(value: float, bound: float, dtype: str) -> tuple[Expected, np.dtype]:
    """One exact value with one bound."""
    return Expected(quad([value]), {"permissive": np.array([bound])}), np.dtype(dtype)


@pytest.mark.parametrize(
    ("value", "got", "conforms"),
    [
        (65600.0, np.inf, True),  # outside float16's range
        (65504.0, np.inf, True),  # inside, but not with its bound
        (65504.0, 65504.0, True),
        (65600.0, 65504.0, False),  # saturated: further away than the bound
        (-65600.0, np.inf, False),  # of the wrong sign
        (-65600.0, -np.inf, True),
        (65600.0, np.nan, False),
        (60000.0, np.inf, False),  # inside the range with its bound
        (1.0, np.nan, False),
    ],
)
def test_overflow_and_nan_have_defined_outcomes(value: float, got: float, conforms: bool) -> None:
    """An infinity of the right sign conforms where value and bound leave the range; a NaN never where the bound is finite."""
    expected, dtype = expected_of(value, 64.0, "float16")
    ratio = ratios_of(np.array([got], dtype), expected, "permissive")[0]
    assert (ratio <= SOUND) == conforms


def test_nothing_is_said_where_a_step_may_leave_the_range() -> None:
    """Squares beyond float32's largest number: the variance's bound is infinite, and no result is judged by it."""
    arrays = draw("float32", 1.0, 9, 3)
    arrays["x"] = (arrays["x"] * np.float32(2.0**90)).astype(np.float32)
    trial = Trial.of(arrays, 1e-5, 0.9)
    answers = trial.layer_answers[0]
    assert np.isinf(answers["running_var"].bounds["permissive"]).all()
    assert np.isfinite(answers["running_mean"].bounds["permissive"]).any()
    assert np.isnan(
        worst_by_channel(trial.outcome(PLAIN)["training running_var"][0], answers["running_var"], "good")
    ).all()


def test_half_precision_results_may_overflow_to_the_right_infinity() -> None:
    """float16 storage of a float32 computation: y beyond 65,504 becomes infinite, and conforms."""
    arrays = draw("float16", 1.0, 16, 5)
    arrays["gamma"] = np.full_like(arrays["gamma"], 6e4)
    arrays |= {"running_mean": np.zeros_like(arrays["gamma"]), "running_var": np.ones_like(arrays["gamma"])}
    trial = Trial.of(arrays, 1e-5, 0.9)
    got, expected = trial.outcome(PLAIN)["training y"]
    assert np.isinf(got).any()
    assert np.isfinite(expected.bounds["permissive"]).all()
    assert np.nanmax(worst_by_channel(got, expected, "permissive")) <= SOUND
    wrong = np.where(np.isinf(got), -got, got)
    assert np.nanmax(worst_by_channel(wrong, expected, "permissive")) == np.inf


def test_a_single_value_has_a_sharp_mean_and_no_variance() -> None:
    """count 1: a mean in error by no more than its storing, and a variance by no more than underflow and that error squared."""
    units = units_of(Conventions(), "float32", "float32")
    batch = Batch(LayerConfig(2, 0, 1, 1e-5, 0.9, "float32", "float32"), quad([[3.0]]))
    error, u = bounds.statistics_error(batch, units, "permissive"), PRECISIONS["float32"].unit_roundoff
    assert error.mean.item() <= 3.0 * 3.0 * u
    assert error.var.item() <= (3.0 * 8.0 * u) ** 2


def test_algorithms_that_are_not_admitted_are_not_promised_anything() -> None:
    """tiers lists the tiers that must admit an algorithm: all from the lenient one down to its own."""
    assert Algorithm("a", "good").tiers == TIERS
    assert Algorithm("a", "lenient").tiers == ("lenient",)
    assert set(STATE) == {"running_mean", "running_var"}
