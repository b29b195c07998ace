"""A cover of the cases asks every clause as often as wanted, with fewer programs to compile."""

from __future__ import annotations

from collections import Counter

import pytest

from bnspec.clauses import ASKED, select_asked
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.checks.relations import relation_of
from bnspec.conformance.judge.collector import COMPLETES
from bnspec.conformance.judge.judge import checks_for, speaks_of
from bnspec.conformance.run.cover import TIMES, cover, programs_of
from bnspec.conformance.run.verify import cases_asked
from bnspec.model.case import Case
from bnspec.model.relations import RELATIONS
from bnspec.oracle.oracle import Oracle

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
CHECKS = checks_for(set(ASKED))


def asked(cases: list[Case]) -> Counter[str]:
    """How many of the cases have something to say of each clause."""
    return Counter(clause for c in cases for clause in speaks_of(c, Oracle(c), CHECKS))


@pytest.fixture(scope="module")
def quick() -> list[Case]:
    """The cases that are chosen from."""
    return list(cases_of("quick", 1))


def test_every_clause_keeps_its_cases_and_few_programs_are_left(quick: list[Case]) -> None:
    """A third of the programs when this was written; without a cover, all."""
    chosen = cover(quick, CHECKS)
    before, after = asked(quick), asked(chosen)
    assert {c: n for c, n in before.items() if after[c] < min(TIMES, n)} == {}
    assert [c.id for c in chosen] == [c.id for c in quick if c.id in {k.id for k in chosen}]
    programs = [len(set().union(*map(programs_of, cases))) for cases in (quick, chosen)]
    assert programs[1] < programs[0] / 2


def test_a_cover_of_one_clause_is_that_clause_alone(quick: list[Case]) -> None:
    chosen = cover(quick, checks_for({"degenerate.empty_batch"}), 2)
    assert len(chosen) == 2
    assert all("degenerate.empty_batch" in speaks_of(c, Oracle(c), CHECKS) for c in chosen)


@pytest.mark.parametrize("clause", ["contract.completes", "degenerate.empty_batch"])
def test_effort_device_has_cases_for_any_clause(clause: str) -> None:
    """Every case speaks of contract.completes, which no check judges: the cover is then that of all clauses."""
    chosen = list(cases_asked("device", 1, select_asked([clause])))
    assert (len(chosen) > TIMES) == (clause == COMPLETES)
    assert len(chosen) >= TIMES


def test_a_clause_about_a_relation_has_cases_with_it(quick: list[Case]) -> None:
    """A call without a relation says nothing of it."""
    few = cover(quick, CHECKS, 1)
    relations = [{relation_of(step)[0] for case in some for step in case.steps} for some in (quick, few)]
    assert relations[0] == relations[1]
    assert RELATIONS.keys() <= relations[0]
