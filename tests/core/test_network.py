"""The exact step of a network against a text of its own, and its bounds against float32 networks, right ones and wrong ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from small_network import DEFECTS, ORDERS, OnePass, SmallNetwork

from bnspec.conformance.cases.networks import KINDS, VALUES, drift, network_case
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation, StepResult
from bnspec.oracle.network_case import exact_step
from bnspec.oracle.oracle import Oracle

CLAUSES = ("placement.trajectory", "placement.bias_has_no_gradient")
TINY = 1e-200
#: What makes a network hard to compute: saturated probabilities, variances far below epsilon and far above, gradients that are
#: large, or small beside the values' last place. By what the values named are multiplied.
HARD = {
    "saturated": (("w2", "b2"), 2.0**6),
    "small": (("w1",), 2.0**-12),
    "huge": (("w1", "b1"), 2.0**12),
    "steep": (("gamma",), 2.0**5),
    "faint": (("gamma", "beta"), 2.0**-20),
}


def conventions(correction: int) -> Conventions:
    """NumPy's conventions, with this correction of the running variance."""
    return Conventions(running_correction=correction)


def judgements(case: Case, observation: Observation, correction: int) -> dict[str, Judgement | None]:
    """The judgements of the checks."""
    return judge(case, observation, conventions(correction), Oracle(case), checks_for(CLAUSES))


def ratio(case: Case, observation: Observation, correction: int) -> float:
    """The worst step's, in bounds."""
    found = judgements(case, observation, correction)[CLAUSES[0]]
    assert found is not None
    return found.ratio


def tiny_case(kind: str) -> Case:
    """Few samples, positions and classes, in float64."""
    rng, case = np.random.RandomState(5), network_case(kind, 5, 1)
    x, few = case.arrays["x0"][:6], 3
    x = x[:, 20:24] if kind == "dense" else x[:, 2:6, 1:5]
    arrays = {n: a.astype(np.float64) for n, a in case.arrays.items()}
    arrays.update(x0=x.astype(np.float64) + rng.uniform(size=x.shape), labels0=np.array([0, 1, 2, 0, 1, 2]))
    arrays.update(
        {n: arrays[n][..., :few] for n in VALUES if n != "w2"}, w2=arrays["w2"][:few, :3], b2=arrays["b2"][:3]
    )
    if kind == "dense":
        arrays["w1"] = arrays["w1"][:4]
    config = dataclasses.replace(case.config, channels=few, dtype="float64", parameter_dtype="float64")
    return dataclasses.replace(case, config=config, arrays=arrays)


def loss_of(case: Case, values: dict[str, Any]) -> Any:
    """The loss for values that may be complex, sample by sample and position by position."""
    x, losses, epsilon = case.arrays["x0"], [], case.config.epsilon
    windows = [[s] for s in x]
    if x.ndim == 4:
        windows = [[s[i : i + 3, j : j + 3] for i in range(s.shape[0] - 2) for j in range(s.shape[1] - 2)] for s in x]
    w1 = values["w1"].reshape(x[0].size if x.ndim == 2 else 9, -1)
    h = [[np.reshape(w, -1) @ w1 + values["b1"] for w in sample] for sample in windows]
    all_h = [row for sample in h for row in sample]
    mean = sum(all_h) / len(all_h)
    var = sum(r * r for r in all_h) / len(all_h) - mean * mean
    for sample, label in zip(h, case.arrays["labels0"], strict=True):
        y = [values["gamma"] * (r - mean) / np.sqrt(var + epsilon) + values["beta"] for r in sample]
        pooled = sum(np.where(r.real > 0.0, r, 0.0) for r in y) / len(y)
        z = pooled @ values["w2"] + values["b2"]
        losses.append(np.log(sum(np.exp(z))) - z[label])
    return sum(losses) / len(losses)


@pytest.mark.parametrize("kind", KINDS)
def test_the_exact_step_descends_along_the_derivative_of_the_loss(kind: str) -> None:
    """Each value moves by the rate times a derivative by a complex step, to within the bound of two float64 evaluations."""
    case = tiny_case(kind)
    values = {n: case.arrays[n] for n in VALUES}
    after = exact_step(case, 0, conventions(0), values)
    rate = case.steps[0].option("learning_rate")
    assert abs(after["loss"].value - loss_of(case, values).real) <= 2.0 * after["loss"].error
    for name in ("w1", "b1", "gamma", "beta", "w2", "b2"):
        for index in np.ndindex(values[name].shape):
            moved = values[name].astype(complex)
            moved[index] += 1j * TINY
            derivative = loss_of(case, dict(values, **{name: moved})).imag / TINY
            exact = after[name]
            assert abs(exact.value[index] - (values[name][index] - rate * derivative)) <= 2.0 * exact.error[index]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_right_networks_stay_within_the_bounds_in_every_order_of_summation(kind: str, order: str) -> None:
    """Fifty steps, both corrections: never above the bound, nor so far below it that it would say nothing."""
    for seed in (1, 2):
        case, correction = network_case(kind, seed), seed - 1
        observation = SmallNetwork(case, correction, ORDERS[order]).observed()
        assert 1e-3 < ratio(case, observation, correction) <= 1.0


@pytest.mark.parametrize("network", [SmallNetwork, OnePass])
@pytest.mark.parametrize("place", HARD)
@pytest.mark.parametrize("kind", KINDS)
def test_right_networks_stay_within_the_bounds_in_hard_places(
    kind: str, place: str, network: type[SmallNetwork]
) -> None:
    """By either variance, wherever the bounds' second-order terms count."""
    case = network_case(kind, 1, 6)
    names, factor = HARD[place]
    arrays = {n: a * np.float32(factor) if n in names else a for n, a in case.arrays.items()}
    hard = dataclasses.replace(case, arrays=arrays)
    assert 0.0 < ratio(hard, network(hard, 0).observed(), 0) <= 1.0


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_defect_exceeds_the_bounds(kind: str, defect: type[SmallNetwork]) -> None:
    """In a few steps of either network, under either correction."""
    for correction in (0, 1):
        case = network_case(kind, 1, 4)
        assert ratio(case, defect(case, correction).observed(), correction) > 1.0


def test_a_value_that_is_not_finite_deviates_where_it_appears_and_nowhere_else() -> None:
    """A NaN in one step's values is that step's; no later step can be computed from such values."""
    case = network_case("dense", 1, 3)
    steps = list(SmallNetwork(case, 0).observed().steps)
    broken = dict(steps[1].outputs, gamma=np.full_like(steps[1].outputs["gamma"], np.nan))
    steps[1] = StepResult("ok", "", broken)
    found = judgements(case, Observation("ok", "", tuple(steps)), 0)[CLAUSES[0]]
    assert found is not None
    assert not found.holds
    assert found.evidence is not None
    assert (found.evidence.step, found.evidence.output, found.evidence.got) == (1, "gamma", "nan")


def test_a_trajectory_that_breaks_off_is_judged_as_far_as_it_went() -> None:
    """Steps before a failure are judged; without values there is no next step to tell, and no drift."""
    case = network_case("dense", 1, 3)
    steps = list(SmallNetwork(case, 0).observed().steps)
    steps[1] = StepResult("error", "RuntimeError: out of memory")
    found = judgements(case, Observation("ok", "", tuple(steps)), 0)[CLAUSES[0]]
    assert found is not None
    assert 0.0 < found.ratio <= 1.0
    assert found.message == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_trajectory_drifts_within_its_propagated_bound(kind: str) -> None:
    """The observed and the exact trajectory differ by less than the bound, which the message states."""
    case = network_case(kind, 3, 10)
    observation = SmallNetwork(case, 0).observed()
    inputs = [{n: case.arrays[n] for n in VALUES}, *(dict(s.outputs) for s in observation.steps[:-1])]
    exact = [exact_step(case, i, conventions(0), values) for i, values in enumerate(inputs)]
    found, verdict = drift(case, conventions(0), observation.steps, exact), judgements(case, observation, 0)[CLAUSES[0]]
    assert all(np.isfinite(t.error).all() for step in exact for t in step.values())
    assert found is not None
    assert verdict is not None
    assert 0.0 < found.distance <= found.bound
    assert verdict.message == str(found)
