"""Relations between calls: derived arguments, expected results, and detection of layers that violate them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from in_process import adapter_of, broken, judged

from bnspec.backends.worker.execution import run_case
from bnspec.clauses import ASKED, CLAUSES
from bnspec.conformance.cases.building import Form, Plan
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.programs import relation_case
from bnspec.conformance.cases.shrinking import REDUCTIONS
from bnspec.conformance.judge.judge import judge
from bnspec.conformance.selftest.reference.full_layer import FullAdapter
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients
from bnspec.model.call import INFERENCE_GRADIENTS
from bnspec.model.case import SEPARATOR, Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.layer import LayerConfig
from bnspec.model.relations import DERIVED, RELATIONS, derived, rederived
from bnspec.oracle.oracle import Oracle

IMAGE = Form((4, 3, 5, 2), 1)
HALF = Conventions(dtypes=("float16",), half_parameters=("input",))
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


LINEAR = "gradient.linear_in_the_cotangent"


def cotangents(largest: float, first: str, second: str, factor: float) -> Case:
    """Two backward passes of a float16 layer with dx = 2 dy, of cotangents up to ``largest`` and of -4 times these."""
    channels = {
        n: np.full(2, v, "float16")
        for n, v in (("gamma", 2), ("beta", 0), ("running_mean", 0), ("running_var", 0.9375))
    }
    dy = np.array([[largest, 1.0], [-largest / 2, -1.0]], "float16")
    arrays = {**channels, "x": np.ones((2, 2), "float16"), "dy": dy, "dy|times:-4": dy * np.float16(-4)}
    steps = [Step(INFERENCE_GRADIENTS, ("x", first), True)]
    steps.append(Step(INFERENCE_GRADIENTS, ("x", second), True, (("relation", f"cotangent:{factor}"), ("to", 0))))
    return Case("batch_norm", LayerConfig(2, 1, 2, 0.0625, 0.5, "float16", "float16"), arrays, tuple(steps))


class IntegerGradient(PlainLayer):
    """dx is rounded to int32."""

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """With a dtype that no bound knows."""
        found = super().inference_gradients(x, dy)
        with np.errstate(invalid="ignore"):
            return found._replace(dx=found.dx.astype("int32"))


@pytest.mark.parametrize(
    ("first", "second", "factor"), [("dy", "dy|times:-4", -4), ("dy|times:-4", "dy", -0.25)], ids=["second", "first"]
)
def test_a_result_that_leaves_the_range_of_float16_is_not_reported(first: str, second: str, factor: float) -> None:
    """20,000 times -4 is an infinity in float16, in whichever of the two calls; the other elements are judged."""
    with np.errstate(over="ignore"):
        found = judged(cotangents(10_000.0, first, second, factor), adapter_of(PlainLayer, conventions=HALF), [LINEAR])
    assert found[LINEAR] is not None
    assert found[LINEAR].holds, found


def test_a_result_of_an_unexpected_dtype_is_judged() -> None:
    """No bound knows its range: that is no error of the suite."""
    found = judged(cotangents(100.0, "dy", "dy|times:-4", -4), adapter_of(IntegerGradient, conventions=HALF), [LINEAR])
    assert found[LINEAR] is not None


def test_one_infinite_result_of_two_is_detected() -> None:
    """The second call's alone: nothing near the end of the range explains it."""

    class Second(PlainLayer):
        """dx is infinite where dy is negative."""

        def inference_gradients(self, x: Any, dy: Any) -> Gradients:
            """With an infinity of dx's sign."""
            found = super().inference_gradients(x, dy)
            found.dx[0, 0] = -np.inf if dy[0, 0] < 0 else found.dx[0, 0]
            return found

    assert broken(cotangents(100.0, "dy", "dy|times:-4", -4), adapter_of(Second, conventions=HALF), [LINEAR]) == {
        LINEAR
    }


def test_derived_arrays_follow_while_a_case_is_shrunk() -> None:
    """Every proposal of every reduction is a case whose derived arrays are those of its bases."""
    one = case("exact", layout="stepped")
    proposals = [p for reduction in REDUCTIONS for p in reduction(one)]
    assert len(proposals) > 20
    for proposal in proposals:
        for name, array in proposal.arrays.items():
            if SEPARATOR in name:
                assert np.array_equal(array, derived(name, proposal.arrays, proposal.config)), name


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_calls_on_one_layer_are_not_compared_as_those_of_two() -> None:
    """A shrunk case, or a stranger's, may call one layer where two were meant: its state has moved, and nothing is said of the relation."""
    adapter = FullAdapter("cpu")
    judged = 0
    for case in catalogue():
        if case.subject != "batch_norm" or not any(s.option("relation") or s.call.has_mask for s in case.steps):
            continue
        if case.elements > 2000:
            continue
        steps = tuple(dataclasses.replace(s, fresh=k == 0) for k, s in enumerate(case.steps))
        one = case.with_(steps=steps)
        found = judge(one, run_case(adapter, *one.header()), adapter.conventions, Oracle(one))
        broken = {c: j.message for c, j in found.items() if j is not None and not j.holds and CLAUSES[c].level != "MAY"}
        assert not broken, (case.id, broken)
        judged += 1
    assert judged > 3
