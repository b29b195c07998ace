"""Networks without normalization: the reference adapter's step against the exact one, right and wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnspec.arithmetic.quad import quad
from bnspec.backends.numpy.network import Backward, PlainNumpyNetwork
from bnspec.backends.numpy.specification import NumpySpec
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.case import Case, network_values
from bnspec.model.conventions import Conventions
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.expected import TIERS, Expected
from bnspec.oracle.network_case import exact_step, usable

SHAPES = {"dense_plain": (9, 7), "convolutional_plain": (3, 4, 5, 6)}
every_kind = pytest.mark.parametrize("kind", SHAPES)


def case_of(kind: str) -> Case:
    """One step of a small network."""
    shape = SHAPES[kind]
    return Workload("small", shape, len(shape) - 1, "float32", "plain_network_step").case(2)


def worst(case: Case, network: Any) -> float:
    """The largest error / bound of a step, over the loss and all values."""
    values = {n: case.arrays[n] for n in network_values(str(case.steps[0].option("network")))}
    assert usable(case, values)
    expected = exact_step(case, 0, Conventions(), values)
    assert set(expected) == {*values, "loss"}
    loss = network.learn(case.arrays["x"], case.arrays["labels"])
    got = dict(network.values(), loss=loss)
    exact = {n: Expected(quad(t.value), dict.fromkeys(TIERS, t.error)) for n, t in expected.items()}
    return max(float(np.nanmax(ratios_of(np.asarray(got[n]), e, "lenient"))) for n, e in exact.items())


def made(case: Case, network: Any = None) -> Any:
    """The network of the case, of the adapter or of another class."""
    step = case.steps[0]
    kind, rate = str(step.option("network")), float(step.option("learning_rate"))
    values = {n: case.arrays[n].copy() for n in network_values(kind)}
    if network is not None:
        return network(kind, case.config, rate, values)
    return NumpySpec().network(kind, case.config, rate, values)


@every_kind
def test_a_step_of_the_plain_network_lies_within_its_bounds(kind: str) -> None:
    """Loss and values."""
    case = case_of(kind)
    assert 0.0 < worst(case, made(case)) <= 1.0


class Leaking(PlainNumpyNetwork):
    """The cotangent is let through a thousandth too large."""

    def backward(self, h: Any, dy: Any) -> Backward:
        """dy, off."""
        return Backward(dy * np.float32(1.001), {}, {})


@every_kind
def test_a_gradient_that_is_off_leaves_the_bounds(kind: str) -> None:
    """The control: they could have failed."""
    case = case_of(kind)
    assert worst(case, made(case, Leaking)) > 1.0


def test_the_plain_network_has_no_values_of_the_layer() -> None:
    """Four fewer than with it."""
    case = case_of("dense_plain")
    assert set(made(case).values()) == set(network_values("dense_plain")) == {"w1", "b1", "w2", "b2"}
