"""The smallest case that still breaks a clause on a target, and what the deviation needs of the calls before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import msgspec

from bnspec.conformance.cases.shrinking import shrink
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.judge.tally import Judged
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import History

Observe = Callable[[Case], Observation]
#: Opens a new process of the target, in which nothing has run.
OpenProcess = Callable[[], AbstractContextManager[Observe]]

#: Where a deviation happened that does not happen whenever its case is run.
WORDS: dict[History, str] = {
    "first_run": "only in the first run of the case in a process",
    "new_process": "only in a process that has run nothing else",
    "after_other_cases": "only in a process that has run other cases",
}
#: How many of the cases before a case are run before it, to see whether the deviation needs them.
EARLIER = (1, 8, 64)


def smallest(
    clause: str,
    failing: Judged,
    observe: Observe,
    conventions: Conventions,
    seconds: float,
    open_process: OpenProcess | None = None,
    earlier: Sequence[Case] = (),
) -> tuple[Case, Judgement]:
    """The failing case shrunk for this clause alone, and its judgement there.

    The case is run again in a new process, too: the deviation may need to be the first call of its form there, or other calls
    before it.

    Args:
        observe: runs a case on the target, in a process that has run other cases.
        seconds: when to stop shrinking.
        open_process: opens a process in which nothing has run, None where the history is not asked; earlier: the cases of the run before this one.
    Returns: a case that deviates in none of these ways again is returned as it is, with evidence of the relation "repeats".
    """
    search = _Search(clause, conventions)
    case = failing.case
    if search.deviates(case, observe):
        found = shrink(case, lambda c: search.deviates(c, observe), seconds)
        judgement = search.judgements[found.id]
        if open_process is not None:
            with open_process() as new:
                if not search.deviates(found, new):
                    return found, needing("after_other_cases", judgement)
        return found, judgement
    if open_process is None:
        return case, not_repeated(failing.judgement)
    with open_process() as new:
        first, second = search.deviates(case, new), search.deviates(case, new)
    if first:

        def deviates_first(candidate: Case) -> bool:
            with open_process() as new:
                return search.deviates(candidate, new)

        found = shrink(case, deviates_first, seconds)
        return found, needing("new_process" if second else "first_run", search.judgements[found.id])
    for count in EARLIER:
        with open_process() as new:
            for before in earlier[-count:]:
                new(before)
            if search.deviates(case, new):
                return case, needing("after_other_cases", search.judgements[case.id])
        if count >= len(earlier):
            break
    return case, not_repeated(failing.judgement)


class _Search:
    """Runs cases for one clause. ``judgements``: of the cases that deviated, by their id."""

    def __init__(self, clause: str, conventions: Conventions) -> None:
        self.clause, self.conventions, self.checks = clause, conventions, checks_for([clause])
        self.judgements: dict[str, Judgement] = {}

    def deviates(self, case: Case, observe: Observe) -> bool:
        """Whether the clause is broken on the case."""
        observation = observe(case)
        if observation.status in ("crashed", "timeout"):
            return False
        judgement = judge(case, observation, self.conventions, Oracle(case), self.checks).get(self.clause)
        if judgement is None or judgement.holds:
            return False
        self.judgements[case.id] = judgement
        return True


def needing(history: History, judgement: Judgement) -> Judgement:
    """The judgement of a deviation that needs this history of its process; the message begins with it."""
    assert judgement.evidence is not None  # it is of a case that deviates
    evidence = msgspec.structs.replace(judgement.evidence, history=history)
    return Judgement(judgement.ratio, evidence, f"{WORDS[history]}: {judgement.message}")


def not_repeated(first: Judgement) -> Judgement:
    """The judgement of a deviation that did not happen again: what was observed first stays on record."""
    assert first.evidence is not None  # it is of a case that deviates
    evidence = msgspec.structs.replace(first.evidence, relation="repeats", ratio="inf")
    return Judgement(math.inf, evidence, f"observed once, and not again when the case was repeated: {first.message}")
