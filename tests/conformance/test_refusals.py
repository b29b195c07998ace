"""Malformed calls: which are made, how an accepted one is named, and what a refusal may leave behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnspec.backends.harness.known import predicates
from bnspec.backends.numpy.specification import NumpySpec
from bnspec.backends.worker.execution import run_case
from bnspec.conformance.cases.building import Form, Plan
from bnspec.conformance.cases.catalogue import large_cases
from bnspec.conformance.cases.programs import malformed_layer_case, refusal_case
from bnspec.conformance.cases.shrinking import is_malformed, shrink
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.checks.refusals import was_broadcast, wrong_argument
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.selftest.catalogue.catalogue import select
from bnspec.model.call import INFERENCE, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.oracle.oracle import Oracle

FORMS = (
    Form((2, 3), 1),
    Form((4, 3, 5, 2), 1),
    Form((4, 5, 2, 3), 3),
    Form((3, 4), 0),
    Form((6, 1), 1),
    Form((6, 2), 1),
)
ERRORS = (
    "errors.malformed_data",
    "errors.malformed_parameters",
    "errors.leave_the_state",
    "errors.continue_as_if_not_called",
)
ONE_SAMPLE = malformed_layer_case(Plan(Form((1, 4, 3, 2), 1), "wide", seed=1))


def judged(case: Case, adapter: Any, clauses: tuple[str, ...] = ERRORS) -> dict[str, Judgement | None]:
    """The judgements of these clauses on a case."""
    observed = run_case(adapter, *case.header())
    return judge(case, observed, adapter.conventions, Oracle(case), checks_for(clauses))


def named(name: str) -> Any:
    """The adapter of a mutant."""
    return select([name])[0].adapter_class()()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.shape}, axis {form.channel_axis}")
def test_every_call_that_must_be_refused_is_malformed(form: Form) -> None:
    """Also with one channel or two, where few values are as many as the layer has."""
    case = refusal_case(Plan(form, "wide", seed=1))
    malformed = [s for s in case.steps if s.refused]
    assert malformed
    assert all(is_malformed(case, s) for s in malformed)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.shape}, axis {form.channel_axis}")
def test_the_specification_refuses_each_and_continues(form: Form) -> None:
    """The clauses on errors are asked, and kept."""
    found = judged(refusal_case(Plan(form, "wide", seed=1)), NumpySpec())
    assert set(found) == set(ERRORS)
    assert all(j is not None and j.holds for j in found.values())


def test_a_parameter_that_spreads_the_batch_is_named_as_broadcast() -> None:
    """y has more values than x; the evidence has both shapes and the argument."""
    found = judged(ONE_SAMPLE, named("scale_broadcast_over_the_batch"))["errors.malformed_parameters"]
    assert found is not None
    assert found.evidence is not None
    assert "broadcast gamma of shape (4, 1, 1, 1), expected (4,)" in found.message
    assert (found.evidence.expected, found.evidence.got) == ("(1, 4, 3, 2)", "(4, 4, 3, 2)")
    assert found.evidence.names == ("gamma",)


@pytest.mark.parametrize(
    ("mutant", "said"),
    [
        ("one_shift_for_all", "broadcast beta of shape ()"),
        ("one_mean_for_all", "broadcast running_mean of shape (1,)"),
        ("short_shift_repeated", "accepted beta of shape (3,)"),
        ("scale_flattened", "accepted gamma of shape (1, 4)"),
        ("long_scale_cut", "accepted gamma of shape (8,)"),
    ],
)
def test_what_is_broadcast_is_named_apart_from_what_is_otherwise_accepted(mutant: str, said: str) -> None:
    """One value for all channels is broadcast; repeated, flattened or cut values are not."""
    found = judged(ONE_SAMPLE, named(mutant))["errors.malformed_parameters"]
    assert found is not None
    assert said in found.message


def test_a_shorter_dy_is_broadcast_and_a_longer_one_is_not() -> None:
    """By the shapes of dy and dx."""
    case = refusal_case(Plan(Form((4, 3), 1), "wide", seed=1))
    short, long = (Step(TRAINING_GRADIENTS, ("x", name), refused=True) for name in ("short", "long"))
    assert was_broadcast(case, short, (4, 3))
    assert not was_broadcast(case, long, (4, 3))
    assert wrong_argument(case, short) == (("short", (1, 3)), "(4, 3), the shape of x")


def test_a_layer_that_refuses_nothing_is_not_asked() -> None:
    """It leaves checking to its caller: the calls are declined."""
    found = judged(refusal_case(Plan(FORMS[0], "wide", seed=1)), named("scaler_unchanged"))
    assert {found["errors.malformed_data"], found["errors.malformed_parameters"]} == {None}


def test_what_a_refusal_leaves_behind_is_found_in_the_next_call() -> None:
    """The state is as it was, and the mode is not."""
    case = refusal_case(Plan(FORMS[0], "wide", seed=1))
    found = judged(case, named("refusal_leaves_inference_mode"))
    assert [c for c in ERRORS if not (found[c] or Judgement.kept()).holds] == ["errors.continue_as_if_not_called"]


@pytest.mark.parametrize("clause", ["errors.malformed_parameters", "errors.malformed_data"])
def test_cases_with_arrays_of_other_ranks_shrink(clause: str) -> None:
    """To the malformed call, which stays malformed, and keeps the ranks of its arrays."""
    mutant = named("one_shift_for_all" if clause == "errors.malformed_parameters" else "flat_cotangent_broadcast")

    def fails(case: Case) -> bool:
        found = judged(case, mutant, (clause,)).get(clause)
        return found is not None and not found.holds

    small = shrink(refusal_case(Plan(FORMS[1], "wide", seed=1)), fails, 20.0)
    assert len(small.steps) == 1
    assert small.steps[0].refused


def test_the_predicates_of_known_deviations_tell_shapes_apart() -> None:
    """A weight with C values in another shape; one with fewer; an empty x; an x of one channel."""
    case = refusal_case(Plan(FORMS[0], "wide", seed=1))

    def of(*steps: Step) -> Case:
        return case.with_(steps=steps)

    def layer(name: str, wrong: str) -> Case:
        return of(Step(INFERENCE, ("x",), True, ((name, wrong),), refused=True))

    weight = predicates.has_misshapen("gamma", "beta", values=True)
    assert [weight(layer("gamma", wrong)) for wrong in ("column", "row", "fewer", "one")] == [True, True, False, False]
    assert not weight(layer("running_mean", "column"))
    assert predicates.has_misshapen("running_mean")(layer("running_mean", "one"))
    for name, empty, one in (("wide", 0, 0), ("empty_wide", 1, 0), ("one_channel", 0, 1), ("empty_one_channel", 1, 1)):
        call = of(Step(TRAINING, (name,), True, refused=True))
        assert predicates.has_other_channels_of_nothing(call) == bool(empty)
        assert predicates.has_one_channel_for_all(call) == bool(one)


def test_a_large_training_set_comes_in_one_array() -> None:
    """Of 100,000 rows; once with a mean of many standard deviations."""
    fits = [c for c in large_cases() if c.subject == "input_norm"]
    assert fits
    assert all(len(c.arrays["chunk0"]) == 100_000 and c.steps[0].inputs == ("chunk0",) for c in fits)
    assert any(np.abs(c.arrays["x"].mean(0) / c.arrays["x"].std(0)).max() > 1000 for c in fits)
