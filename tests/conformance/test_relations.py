"""Relations between calls: derived arguments, expected results, and detection of layers that violate them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from in_process import adapter_of, broken, judged

from bnspec.clauses import ASKED
from bnspec.conformance.cases.building import Form, Plan
from bnspec.conformance.cases.programs import relation_case
from bnspec.conformance.cases.shrinking import REDUCTIONS
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.model.case import SEPARATOR
from bnspec.model.relations import DERIVED, RELATIONS, derived, rederived

IMAGE = Form((4, 3, 5, 2), 1)
LAWS = tuple(r.clause for r in RELATIONS.values())


def case(kind: str = "wide", **plan: Any) -> Any:
    """A case of relations."""
    return relation_case(Plan(IMAGE, kind, epsilon=2.0**-4, seed=5, **plan))


def test_every_relation_states_a_clause_that_backends_are_asked() -> None:
    """And each clause one relation."""
    assert len(set(LAWS)) == len(LAWS)
    assert set(LAWS) <= set(ASKED)


def test_a_derived_array_is_made_from_its_base_in_memory_of_its_own() -> None:
    """For each derivation that a case uses; what is derived changes with its base."""
    one = case()
    names = [n for n in one.arrays if SEPARATOR in n]
    assert {n.partition(SEPARATOR)[2].partition(":")[0] for n in names} <= set(DERIVED)
    for name in names:
        base = one.arrays[name.partition(SEPARATOR)[0]]
        assert not np.shares_memory(one.arrays[name], base), name
        assert np.array_equal(one.arrays[name], derived(name, one.arrays, one.config)), name
    zeros = rederived({**one.arrays, "x": np.zeros_like(one.arrays["x"])}, one.config)
    assert not zeros["x|twice"].any()
    assert (zeros["x|plus:64"] == 64).all()


def test_a_right_layer_keeps_every_relation_and_each_is_judged() -> None:
    """With views, so that copies are compared, and on a grid on which a shift is exact; threads alone are declined."""
    found = judged(case("exact", layout="stepped"), adapter_of(PlainLayer), LAWS)
    assert found.pop("layout.threads") is None
    assert found.keys() == set(LAWS) - {"layout.threads"}
    assert all(j is not None and j.holds for j in found.values()), found


class ReadsItsDecay(PlainLayer):
    """Normalises by a blend of the batch's statistics and the running ones."""

    def training_statistics(self, x: Any) -> Any:
        """A blend, by the decay."""
        mean, var = self.moments(x)
        part = self.work.type(0.01 * self.config.decay)
        return mean * (1 - part) + part, var


class KeepsFirstOrder(PlainLayer):
    """Weighs the first half of the batch more."""

    def moments(self, x: Any) -> Any:
        """Moments of the first half, where there are two rows."""
        return super().moments(x[: max(len(x) // 2, 1)])


class MixesChannels(PlainLayer):
    """Adds a little of the first channel's mean to all."""

    def moments(self, x: Any) -> Any:
        """The mean of all, off by the first channel's."""
        mean, var = super().moments(x)
        first = np.take(mean, [0], axis=self.config.channel_axis)
        return mean + self.work.type(0.01) * first, var


class EpsilonClamped(PlainLayer):
    """Raises epsilon to 1/8."""

    def inv_std(self, var: Any) -> Any:
        """With an epsilon of at least 1/8."""
        return 1 / np.sqrt(var + self.work.type(max(self.config.epsilon, 0.125)))


class SubtractsTwice(PlainLayer):
    """dx with the mean of dy subtracted twice."""

    def training_dx(self, dy: Any, zhat: Any, inv_std: Any) -> Any:
        """dx that does not sum to 0."""
        return super().training_dx(dy, zhat, inv_std) - self.gamma() * inv_std * dy.mean(axis=self.axes, keepdims=True)


class AddsToGradients(PlainLayer):
    """Gradients that are affine in dy."""

    def parameter_gradients(self, dy: Any, zhat: Any, inv_std: Any) -> Any:
        """dbeta plus 1."""
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma, dbeta + 1


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        (ReadsItsDecay, "training.ignores_decay"),
        (KeepsFirstOrder, "training.order_of_elements"),
        (KeepsFirstOrder, "training.repeated_batch"),
        (MixesChannels, "layout.channels_permute"),
        (EpsilonClamped, "training.scale_equivariant"),
        (EpsilonClamped, "epsilon.only_the_sum_counts"),
        (SubtractsTwice, "gradient.orthogonality"),
        (AddsToGradients, "gradient.linear_in_the_cotangent"),
        (ReadsItsDecay, "training.output_moments"),
    ],
)
def test_a_layer_that_disagrees_with_itself_is_detected(wrong: type, law: str) -> None:
    """By the clause that it violates, without any exact value."""
    assert law in broken(case(), adapter_of(wrong), [law])


def test_derived_arrays_follow_while_a_case_is_shrunk() -> None:
    """Every proposal of every reduction is a case whose derived arrays are those of its bases."""
    one = case("exact", layout="stepped")
    proposals = [p for reduction in REDUCTIONS for p in reduction(one)]
    assert len(proposals) > 20
    for proposal in proposals:
        for name, array in proposal.arrays.items():
            if SEPARATOR in name:
                assert np.array_equal(array, derived(name, proposal.arrays, proposal.config)), name
