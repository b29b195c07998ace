"""The suite against planted defects and against unusual correct code. In this process: workers are tested elsewhere."""

from __future__ import annotations

import functools

import pytest

from bnspec.backends.execution import run_case
from bnspec.case import Case
from bnspec.clauses import ASKED
from bnspec.conformance.checks import CHECKS
from bnspec.conformance.effort import cases_of
from bnspec.conformance.judge import COMPLETES, Court
from bnspec.conformance.mutants.catalogue import ALL, MUTANTS, VARIANTS, Planted
from bnspec.oracle import Oracle

#: In a worker, NumPy's warnings about NaN and infinity go to a log; here they would end a test.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@functools.cache
def quick_cases() -> tuple[Case, ...]:
    """The cases of a quick run."""
    return tuple(cases_of("quick", 1))


@functools.cache
def oracle_of(case: Case) -> Oracle:
    """Shared by all mutants."""
    return Oracle(case)


def try_on(planted: Planted, until: frozenset[str] = frozenset()) -> set[str]:
    """The clauses that accuse it; stops as soon as one of ``until`` does."""
    adapter = planted.adapter_class()("cpu")
    court = Court(list(ASKED), adapter.profile)
    accusing: set[str] = set()
    for case in quick_cases():
        verdicts = court.hear(case, run_case(adapter, *case.header()), oracle_of(case))
        accusing |= {c for c, j in verdicts.items() if j is not None and not j.holds and ASKED[c].level != "MAY"}
        if accusing & until:
            break
    return accusing


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_mutant_is_killed_by_a_clause_it_is_named_for(mutant: Planted) -> None:
    """Quick effort kills every planted defect, and for the right reason."""
    assert try_on(mutant, frozenset(mutant.killed_by)) & set(mutant.killed_by)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_the_correct_variant_is_not_accused(variant: Planted) -> None:
    """Whatever the summation order, the form or the accumulator: no clause deviates."""
    assert not try_on(variant)


def test_every_clause_that_backends_are_asked_has_exactly_one_check() -> None:
    """But for the one that the runner judges, of cases that came to no end. The others have tests in tests/core."""
    assert sorted([*(c.clause for c in CHECKS), COMPLETES]) == sorted(ASKED)


def test_planted_names_are_distinct_and_name_real_clauses() -> None:
    """A mutant that names a clause that does not exist could never be killed as it should."""
    names = [p.name for p in ALL]
    assert len(set(names)) == len(names)
    assert not {c for p in ALL for c in p.killed_by} - set(ASKED)
    assert all(m.killed_by for m in MUTANTS)
