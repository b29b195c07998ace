"""The judge: one observation, every clause that can use it."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable

import numpy as np

from bnspec.conformance.checks import CHECKS, Check
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.case import Case, Step, shares_state
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle


def checks_for(clauses: Collection[str]) -> list[Check]:
    """The checks of these clauses."""
    return [c for c in CHECKS if c.clause in clauses]


def judge(
    case: Case, observation: Observation, conventions: Conventions, oracle: Oracle, checks: Iterable[Check] = CHECKS
) -> dict[str, Judgement | None]:
    """For each clause that the case asks: the worst judgement over its steps, or None where the backend declined them all.

    Clauses that the case does not ask, or of which nothing can be said here, are left out.
    """
    return examine(Examination(case, observation, conventions, oracle), checks)


def examine(exam: Examination, checks: Iterable[Check]) -> dict[str, Judgement | None]:
    """The judgements of an examination; see ``judge``."""
    case, observation = exam.case, exam.observation
    judgements: dict[str, Judgement | None] = {}
    shared = shares_state(case)
    with np.errstate(all="ignore"):
        for check in checks:
            if check.of_shared != shared:
                continue
            for i, step in enumerate(case.steps):
                if not _asks(check, step):
                    continue
                channels = _domain(exam.oracle_at(i), check, i)
                if not channels.any():
                    continue
                status = observation.steps[i].status
                reason = observation.steps[i].message if status == "declined" else check.declines(exam, i)
                if status == "declined" or (status == "ok" and reason):
                    judgements.setdefault(check.clause, None)
                    exam.reasons.setdefault(check.clause, reason)
                elif status == "ok" or (status == "error" and check.reads_errors):
                    found = check.judge(exam, i, channels)
                    worst = judgements.get(check.clause)
                    if found is not None and (worst is None or found.ratio > worst.ratio):
                        judgements[check.clause] = found
    return judgements


def asks(case: Case, checks: Iterable[Check]) -> bool:
    """Whether a check may judge a step of the case, by the calls alone; of any other case ``judge`` says nothing."""
    shared = shares_state(case)
    return any(check.of_shared == shared and _asks(check, step) for check in checks for step in case.steps)


def _asks(check: Check, step: Step) -> bool:
    asked = step.call in check.calls and check.of_refused in (None, step.refused)
    asked = asked and check.of_integers == step.takes_integers and check.of_missing == step.has_missing
    return asked and (check.of_repeats or not step.option("repeats"))


def speaks_of(case: Case, oracle: Oracle, checks: Iterable[Check]) -> set[str]:
    """The clauses that have a channel to judge in a case, where the backend answers every call that is not malformed."""
    shared, clauses = shares_state(case), set[str]()
    with np.errstate(all="ignore"):
        for check in checks:
            if check.of_shared == shared and check.clause not in clauses:
                asked = (i for i, step in enumerate(case.steps) if _asks(check, step))
                if any(_domain(oracle.overridden(_overrides(case, i)), check, i).any() for i in asked):
                    clauses.add(check.clause)
    return clauses


def _overrides(case: Case, i: int) -> tuple[tuple[str, object], ...]:
    """What has been set of the layer of step i, where every call but the malformed ones is answered."""
    return case.overrides(i, lambda j: not case.steps[j].refused)


#: The domains of an oracle's case depend on nothing else: all backends share them.
_DOMAINS: weakref.WeakKeyDictionary[Oracle, dict[tuple[str, int], Mask]] = weakref.WeakKeyDictionary()


def _domain(oracle: Oracle, check: Check, i: int) -> Mask:
    """The channels of step i that the check speaks of, of the case as the step's layer sees it."""
    known = _DOMAINS.setdefault(oracle, {})
    if (check.clause, i) not in known:
        known[check.clause, i] = check.domain(oracle, oracle.case.steps[i])
    return known[check.clause, i]
