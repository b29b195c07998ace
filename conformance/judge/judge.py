"""The judge: one observation, every clause that can use it."""

from __future__ import annotations

import collections
import functools
import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from bnspec.conformance.checks import CHECKS, Check
from bnspec.conformance.checks.check import all_or_none
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import Call
from bnspec.model.case import Case, shares_state
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

    Clauses that the case does not ask, or of which nothing can be said here, are left out. ``checks``: some of the suite's.
    """
    return examine(Examination(case, observation, conventions, oracle), checks)


def examine(exam: Examination, checks: Iterable[Check]) -> dict[str, Judgement | None]:
    """The judgements of an examination; see ``judge``."""
    observation = exam.observation
    judgements: dict[str, Judgement | None] = {}
    with np.errstate(all="ignore"):
        for check, i, channels in _spoken_of(exam, tuple(checks)):
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


#: What checks speak of, and where.
_Spoken = list[tuple[Check, int, Mask]]
#: The same by oracle: by the checks, and by the oracles of the case as the layer of each step sees it. All backends share them.
_SPOKEN: weakref.WeakKeyDictionary[Oracle, dict[tuple[tuple[Check, ...], tuple[int, ...]], _Spoken]] = (
    weakref.WeakKeyDictionary()
)


def _spoken_of(exam: Examination, checks: tuple[Check, ...]) -> _Spoken:
    """The checks, the steps that each reads, and the channels of which it speaks there."""
    oracles = [exam.oracle_at(i) for i in range(len(exam.case.steps))]
    shared = _SPOKEN.setdefault(exam.oracle, {}) if exam.case is exam.oracle.case else {}
    key = checks, tuple(id(oracle) for oracle in oracles)  # they last as long as the case's oracle, which holds them
    if key not in shared:
        asked, domains = _asked(exam.case), [_Domains(oracle, i) for i, oracle in enumerate(oracles)]
        shared[key] = [
            (check, i, channels)
            for check in checks
            for i in asked.get(check, ())
            if (channels := domains[i].of(check)) is not None
        ]
    return shared[key]


def _asked(case: Case) -> Mapping[Check, Sequence[int]]:
    """The steps of the case that each check reads."""
    asked: dict[Check, list[int]] = collections.defaultdict(list)
    shared = shares_state(case)
    for i, step in enumerate(case.steps):
        repeats, integers = bool(step.option("repeats")), step.takes_integers
        for check in _checks_of(step.call, step.refused, integers, step.has_missing, repeats, shared):
            asked[check].append(i)
    return asked


@functools.cache
def _checks_of(
    call: Call, refused: bool, integers: bool, missing: bool, repeats: bool, shared: bool
) -> tuple[Check, ...]:
    """The checks that read such a step."""
    return tuple(
        check
        for check in CHECKS
        if call in check.calls
        and check.of_refused in (None, refused)
        and (check.of_integers, check.of_missing, check.of_shared) == (integers, missing, shared)
        and (check.of_repeats or not repeats)
    )


def asks(case: Case, checks: Iterable[Check]) -> bool:
    """Whether a check may judge a step of the case, by the calls alone; of any other case ``judge`` says nothing."""
    return not _asked(case).keys().isdisjoint(checks)


def speaks_of(case: Case, oracle: Oracle, checks: Iterable[Check]) -> set[str]:
    """The clauses that have a channel to judge in a case, where the backend answers every call that is not malformed."""
    asked, clauses = _asked(case), set[str]()
    with np.errstate(all="ignore"):
        for check in checks:
            if check.clause not in clauses:
                steps = asked.get(check, ())
                if any(_Domains(oracle.overridden(_overrides(case, i)), i).of(check) is not None for i in steps):
                    clauses.add(check.clause)
    return clauses


def _overrides(case: Case, i: int) -> tuple[tuple[str, object], ...]:
    """What has been set of the layer of step i, where every call but the malformed ones is answered."""
    return case.overrides(i, lambda j: not case.steps[j].refused)


#: By clause and step, the domains of an oracle's case depend on nothing else: all backends share them.
_KNOWN: weakref.WeakKeyDictionary[Oracle, dict[tuple[str, int], Mask | None]] = weakref.WeakKeyDictionary()


class _Domains:
    """The channels of step i that each check speaks of, of the case as the step's layer sees it."""

    def __init__(self, oracle: Oracle, i: int) -> None:
        self.oracle, self.i, self.known = oracle, i, _KNOWN.setdefault(oracle, {})

    def of(self, check: Check) -> Mask | None:
        """The channels; None where there are none."""
        key = check.clause, self.i
        if key not in self.known:
            channels = check.domain(self.oracle, self.oracle.case.steps[self.i])
            whole = channels is all_or_none(channels.size, True)
            self.known[key] = channels if whole or channels.any() else None
        return self.known[key]
