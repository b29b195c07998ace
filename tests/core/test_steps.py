"""Steps that override their layer's settings, and operations between calls that change them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnspec.arithmetic.quad import double
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.programs import masked_case, relation_case
from bnspec.errors import UsageError
from bnspec.model.call import (
    CLONE,
    FREEZE,
    INFERENCE,
    LEARN,
    SET_DECAY,
    SWAP,
    TRAINING,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_SOME_GRADIENTS,
)
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Oracle, effective_decay

BASE = batch_norm_case(Plan(Form((4, 3), 1), "wide", seed=9, short=True))


def after_inference(*steps: Step) -> Case:
    """The base case with these steps after an inference on a fresh layer."""
    return BASE.with_(steps=(Step(INFERENCE, ("x",), True), *steps))


def decay(value: float) -> Step:
    """Another decay."""
    return Step(SET_DECAY, options=(("decay", value),))


def test_settings_apply_to_their_own_layer_only() -> None:
    """A copy starts with its original's settings; then each has its own decay and frozen flag; a fresh layer has neither."""
    x = Step(TRAINING, ("x",))
    case = after_inference(
        decay(0.25), Step(CLONE), decay(0.5), Step(FREEZE), x, Step(SWAP), x, Step(TRAINING, ("x",), True)
    )
    assert [case.settings_at(i) for i in (1, 2, 5, 7, 8)] == [
        (None, False),
        (0.25, False),
        (0.5, True),
        (0.25, False),
        (None, False),
    ]
    assert dict(case.overrides(5)) == {"decay": 0.5}
    assert case.overrides(8) == ()


def test_what_was_not_performed_is_not_in_force() -> None:
    """A decay that was declined changed nothing."""
    case = after_inference(decay(0.25), Step(TRAINING, ("x",)))
    assert case.overrides(2, lambda j: False) == ()
    assert dict(case.overrides(2)) == {"decay": 0.25}


def test_overrides_of_a_layer_reach_its_case_and_oracle() -> None:
    """Parameters, epsilon and axes of the step that built it; the same overrides give the same case and oracle."""
    case = relation_case(Plan(Form((4, 3, 5, 2), 1), "wide", epsilon=2.0**-4, seed=3))
    rows = next(i for i, s in enumerate(case.steps) if s.option("relation") == "rows")
    overridden = case.overridden(case.overrides(rows))
    assert (overridden.config.rank, overridden.config.channel_axis, case.config.rank) == (2, 1, 4)
    flipped = next(i for i, s in enumerate(case.steps) if s.option("relation") == "channels_flipped")
    given = case.overridden(case.overrides(flipped)).arrays["gamma"]
    assert np.array_equal(given, case.arrays["gamma"][::-1])
    oracle = Oracle(case)
    assert oracle.overridden(case.overrides(rows)) is oracle.overridden(case.overrides(rows))
    assert oracle.overridden(()) is oracle


def test_an_oracle_of_other_parameters_shares_the_quantities_of_its_inputs() -> None:
    """And answers as an oracle of its own would."""
    case = relation_case(Plan(Form((4, 3), 1), "wide", epsilon=2.0**-4, seed=3))
    i = next(i for i, s in enumerate(case.steps) if s.option("relation") == "decay")
    oracle, conventions = Oracle(case), Conventions()
    shared = oracle.overridden(case.overrides(i))
    alone = Oracle(case.overridden(case.overrides(i)))
    before = {n: case.arrays[n] for n in ("running_mean", "running_var")}
    ours, theirs = (o.expect(case.steps[i], before, conventions) for o in (shared, alone))
    assert ours.keys() == theirs.keys()
    for name, answer in ours.items():
        assert np.array_equal(answer.rounded, theirs[name].rounded), name
        assert np.array_equal(answer.bounds["lenient"], theirs[name].bounds["lenient"]), name
    assert shared.batch("x", case.config.epsilon) is oracle.batch("x", case.config.epsilon)


def test_a_masked_batch_has_the_answers_of_the_batch_without_its_padding() -> None:
    """At the places that the mask keeps; dx is 0 on the padding, and of y nothing is said there."""
    case = masked_case(Plan(Form((4, 5, 3), 2), "wide", seed=4), 0.5)
    step = next(s for s in case.steps if s.call == TRAINING_MASKED_GRADIENTS)
    before = {n: case.arrays[n] for n in ("running_mean", "running_var")}
    got = Oracle(case).expect(step, before, Conventions())
    kept = case.arrays["mask"][..., 0]
    x = case.arrays["x"][kept].astype(np.float64)
    gamma, beta = (case.arrays[n].astype(np.float64) for n in ("gamma", "beta"))
    wanted = gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + case.config.epsilon) + beta
    assert np.abs(double(got["y"].value)[kept] - wanted).max() < 2.0**-40
    assert np.isnan(got["y"].bounds["lenient"][~kept]).all()
    assert not double(got["dx"].value)[~kept].any()
    assert not got["dx"].bounds["lenient"][~kept].any()


def test_a_declared_decay_dtype_is_the_one_that_is_judged_by() -> None:
    """The framework's own number is stored: the decay, or 1 - decay."""
    stored = {"decay_dtype": "float32"}
    assert effective_decay(0.9, Conventions()) == 0.9
    assert effective_decay(0.9, Conventions(momentum_weighs="old", **stored)) == float(np.float32(0.9))
    assert effective_decay(0.9, Conventions(momentum_weighs="new", **stored)) == 1.0 - float(np.float32(1.0 - 0.9))


WRONG: dict[str, tuple[Any, str]] = {
    "a call between others first": ((Step(CLONE),), "comes before a layer is built"),
    "a decay outside": ((Step(TRAINING, ("x",), True), decay(2.0)), "must lie in"),
    "no gradient wanted": (
        (Step(TRAINING_SOME_GRADIENTS, ("x", "dy"), True, (("wanted", "dz"),)),),
        "names no gradient",
    ),
    "a parameter that is missing": ((Step(TRAINING, ("x",), True, (("gamma", "none"),)),), "is missing"),
    "a parameter of another length": ((Step(TRAINING, ("x",), True, (("gamma", "x"),)),), "expected"),
    "an axis outside": ((Step(TRAINING, ("x",), True, (("channel_axis", 4),)),), "outside rank"),
    "a network that infers": (
        (Step(LEARN, ("x", "dy"), True), Step(INFERENCE, ("x",))),
        "must be one of dense, convolutional",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_malformed_step_is_refused(wrong: str) -> None:
    """What is wrong is said."""
    steps, said = WRONG[wrong]
    subject = "network" if "network" in wrong else "batch_norm"
    with pytest.raises(UsageError, match=said):
        BASE.with_(steps=steps, subject=subject)
