"""The exact answers of layer-normalization cases: of chosen samples, and of sums over all of them, by either evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from bnspec.arithmetic.quad import double
from bnspec.backends.numpy.layer_norm import NumpyLayerNorm
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.precision import units_of
from bnspec.oracle import layer_norm as layer_norm_case
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.expected import TIERS
from bnspec.oracle.layer_norm import layer_norm_answers
from bnspec.oracle.network import room

ROWS = np.array([0, 3, 29])
LATER = ("dgamma", "dbeta")


def case(dtype: str = "float32", shape: tuple[int, ...] = (30, 12)) -> Case:
    """Gradients of ordinary values."""
    return Workload("small", shape, len(shape) - 1, dtype, "layer_norm_gradients").case(3)


def computed(given: Case) -> dict[str, np.ndarray]:
    """What the reference adapter gives."""
    layer = NumpyLayerNorm(given.config, given.arrays["gamma"], given.arrays["beta"])
    return layer.training_gradients(given.arrays["x"], given.arrays["dy"])._asdict()


@pytest.mark.parametrize("shape", [(30, 12), (5, 6, 12)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_the_reference_lies_within_the_bounds_of_the_samples_and_of_the_sums(
    dtype: str, shape: tuple[int, ...]
) -> None:
    """Samples are counted through all axes but the last."""
    given = case(dtype, shape)
    got, answers = computed(given), layer_norm_answers(given, ROWS, Conventions())
    assert set(answers) == {"y", "dx", "dgamma", "dbeta"}
    for name, expected in answers.items():
        values = got[name] if name in LATER else got[name].reshape(-1, 12)[ROWS]
        assert np.nanmax(ratios_of(values, expected, "permissive")) <= 1.0, name


@pytest.mark.parametrize("name", ["y", "dx", "dgamma", "dbeta"])
def test_a_value_that_is_off_by_a_thousandth_is_found_out(name: str) -> None:
    """The bounds are those of roundings."""
    given = case()
    answers, got = layer_norm_answers(given, np.arange(30), Conventions()), computed(given)
    wrong = got[name] * np.float32(1.001)
    assert np.nanmax(ratios_of(wrong, answers[name], "lenient")) > 1.0


def test_sums_evaluated_in_float64_are_those_of_quad_precision_up_to_the_room_of_their_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error of float64 itself is inside the reported bound."""
    given = case()
    few = layer_norm_answers(given, ROWS, Conventions())
    monkeypatch.setattr(layer_norm_case, "FEW", 0)
    many = layer_norm_answers(given, ROWS, Conventions())
    for name in LATER:
        for tier in TIERS:
            share = room(units_of(Conventions(), "float32", "float32", tier)) - 1.0
            apart = np.abs(double(many[name].value - few[name].value))
            assert (apart <= share * few[name].bounds[tier]).all(), name
            assert (many[name].bounds[tier] >= few[name].bounds[tier]).all(), name


def test_sums_of_many_float64_elements_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """There float64 is no better than what is judged."""
    monkeypatch.setattr(layer_norm_case, "FEW", 0)
    assert set(layer_norm_answers(case("float64"), ROWS, Conventions())) == {"y", "dx"}
