"""Shrinking cases of many steps and layers: to the calls that matter, with the same clause, still malformed."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from bnspec.backends.worker.execution import run_case
from bnspec.clauses import ASKED
from bnspec.conformance.cases.building import Form, Plan
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.cases.networks import KINDS, network_case
from bnspec.conformance.cases.programs import long_case, masked_case, refusal_case, relation_case
from bnspec.conformance.cases.shrinking import is_malformed, much_smaller, rebuilt, reductions_of, shrink
from bnspec.conformance.judge.judge import judge
from bnspec.conformance.selftest.reference.full_layer import FullAdapter
from bnspec.model.call import TRAINING, TRAINING_MASKED_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.oracle.oracle import Oracle

PLAN = Plan(Form((4, 3, 5, 2), 1), seed=3)


def shrunk(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The plainest case, with all the time in the world."""
    return shrink(case, fails, 1000.0, lambda: 0.0)


def has(case: Case, **wanted: object) -> list[Step]:
    """The steps with this call or these options."""
    return [s for s in case.steps if all(getattr(s, k, None) == v or s.option(k) == v for k, v in wanted.items())]


@pytest.mark.parametrize(
    "relation", ["scaled:4", "channels_flipped", "rows", "cotangent:-4", "threads", "moved_epsilon"]
)
def test_a_relation_shrinks_to_two_calls(relation: str) -> None:
    """The first call, and the one that follows from it, whose arrays are derived from the smaller ones."""

    def fails(case: Case) -> bool:
        return any(
            has(case, call=s.call, relation=None) and case.steps.index(s) > case.steps.index(first)
            for s in has(case, relation=relation)
            for first in has(case, call=s.call, relation=None)[:1]
        )

    small = shrunk(relation_case(PLAN), fails)
    assert [s.option("relation") for s in small.steps] == [None, relation]
    assert max(a.size for a in small.arrays.values()) <= 2


def test_a_layer_of_its_own_epsilon_keeps_its_ratio() -> None:
    """epsilon becomes plain, and 16 times it too: x times 4 still goes with it."""

    def fails(case: Case) -> bool:
        return any(s.option("epsilon") == 16.0 * case.config.epsilon for s in has(case, relation="scaled:4"))

    small = shrunk(relation_case(PLAN), fails)
    assert (small.config.epsilon, small.steps[-1].option("epsilon")) == (1.0, 16.0)


def test_a_long_training_shrinks_to_what_matters() -> None:
    """Two steps that move the state, of twelve."""
    small = shrunk(long_case(PLAN), lambda case: sum(s.call.mode == "training" for s in case.steps) >= 2)
    assert len(small.steps) == 2


def test_a_refused_call_stays_malformed() -> None:
    """It is left alone with its arrays, and never becomes a call that may be answered."""
    asked: list[Case] = []

    def fails(case: Case) -> bool:
        asked.append(case)
        return bool(has(case, refused=True))

    small = shrunk(refusal_case(PLAN), fails)
    assert len(small.steps) == 1
    assert all(is_malformed(case, s) for case in asked for s in case.steps if s.refused)


def test_what_makes_a_malformed_call_well_formed_is_no_proposal() -> None:
    """A wide x of which half of the channels are left would be an ordinary one."""
    case = refusal_case(PLAN)
    small = case.with_(steps=(Step(TRAINING, ("wide",), True, (), True),))
    cut = {**small.arrays, "wide": small.arrays["wide"][:, :3]}
    assert not list(rebuilt(small, cut))


def test_padding_stays_padding() -> None:
    """A mask goes with what it masks, and NaN stays where it is False."""
    small = shrunk(masked_case(PLAN, 0.5), lambda case: bool(has(case, call=TRAINING_MASKED_GRADIENTS)))
    assert len(small.steps) == 1
    for name, array in small.arrays.items():
        if "repadded:nan" in name:
            assert np.array_equal(np.isnan(array), ~np.broadcast_to(small.arrays["mask"], array.shape))


def test_large_cases_become_small_in_one_go() -> None:
    """Not by one half after the other, each of which is run."""
    (first, *_) = much_smaller(long_case(Plan(Form((64, 48), 1), seed=3)))
    assert max(a.size for a in first.arrays.values()) <= 16


def test_what_fails_now_and_then_is_no_plainer_case() -> None:
    """A proposal is asked twice."""
    case, turns = long_case(PLAN), itertools.count()
    assert shrunk(case, lambda _: next(turns) % 2 == 0) is case


def test_cotangents_are_not_made_zero() -> None:
    """Zeros would reveal only non-finite results."""
    small = shrunk(relation_case(PLAN), lambda case: "dy" in case.arrays)
    assert small.arrays["dy"].any()


def test_a_view_shrinks_as_a_view() -> None:
    """That it is not packed may be what matters; what is packed stays packed."""
    plan = Plan(Form((8, 3, 6, 2), 1), layout="stepped", seed=3)
    small = shrunk(relation_case(plan), lambda case: not case.arrays["x"].flags.c_contiguous)
    assert small.arrays["x"].size <= 4
    assert small.arrays["dy"].flags.c_contiguous


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_shrinking_proposes_can_be_judged_and_accuses_no_correct_layer() -> None:
    """Of cases of every kind, networks too: a proposal that no oracle can answer would end the run."""
    adapter, proposals = FullAdapter("cpu"), 0
    networks = [network_case(kind, 1) for kind in KINDS]
    small = (
        c for c in cases_of("quick", 1) if c.subject != "network" and max(a.size for a in c.arrays.values()) <= 500
    )
    for case in [*networks, *list(small)[::9]]:
        for reduction in reductions_of(case):
            for proposal in itertools.islice(reduction(case), 2):
                observation = run_case(adapter, *proposal.header())
                found = judge(proposal, observation, adapter.conventions, Oracle(proposal))
                accused = [c for c, j in found.items() if j is not None and not j.holds and ASKED[c].level != "MAY"]
                assert not accused, (reduction, case.origin)
                proposals += 1
    assert proposals > 300
