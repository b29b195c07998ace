"""The smallest case that still breaks a clause on a target, and what the deviation needs of the calls before it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import msgspec

from bnspec.conformance.cases.shrinking import shrink
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.collector import KnownLookup, nothing_known
from bnspec.conformance.judge.one_clause import OneClause
from bnspec.conformance.judge.tally import Judged
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
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
#: A history is named only where so many new processes agree. What happens by chance, in each run with probability p, is called
#: "first_run" with probability (p (1 - p))^3, which is at most 1.6 %.
AGREEING = 3


def smallest(
    clause: str,
    failing: Judged,
    observe: Observe,
    conventions: Conventions,
    seconds: float,
    open_process: OpenProcess | None = None,
    earlier: Sequence[Case] = (),
    others: Iterable[Case] = (),
    clock: Callable[[], float] = time.monotonic,
    known: KnownLookup = nothing_known,
) -> tuple[Case, Judgement]:
    """The failing case shrunk for this clause alone, and its judgement there.

    The case is run again in a new process, too: the deviation may need to be the first call of its form there, or other calls
    before it.

    Args:
        observe: runs a case on the target, in a process that has run other cases.
        seconds: when to stop shrinking, by the clock.
        open_process: opens a process in which nothing has run, None where the history is not asked; earlier: the cases of the run
            before this one.
        known: the known deviations of the target: where none covers the case, the search goes to no case that one covers.
        others: cases that have been shrunk for other clauses: the search starts from the smallest on which this one is broken, too.
    Returns: a case that deviates in none of these ways again is returned as it is, with evidence of the relation "repeats".
    """
    case = failing.case
    search = _Search(clause, conventions, known if known(clause, case) is None else nothing_known)
    if search.deviates(case, observe):
        case = search.smaller(case, others, observe)
        found = shrink(case, lambda c: search.deviates(c, observe), seconds, clock)
        judgement = search.judgements[found.id]
        if open_process is not None and search.needs_others(found, observe, open_process):
            return found, needing("after_other_cases", judgement)
        return found, judgement
    if open_process is None:
        return case, not_repeated(failing.judgement)
    runs = [search.first_and_second(case, open_process) for _ in range(AGREEING)]
    if len(set(runs)) == 1 and runs[0][0]:
        found = shrink(case, lambda c: search.first_and_second(c, open_process)[0], seconds, clock)
        return found, needing("new_process" if runs[0][1] else "first_run", search.judgements[found.id])
    if any(map(any, runs)):
        return case, not_repeated(failing.judgement, "observed, and not every time the case was repeated")
    for count in EARLIER:
        if all(search.deviates_after(earlier[-count:], case, open_process) for _ in range(AGREEING)):
            return case, needing("after_other_cases", search.judgements[case.id])
        if count >= len(earlier):
            break
    return case, not_repeated(failing.judgement)


class _Search(OneClause):
    """Looks for smaller cases of one clause, and for what a deviation needs of the cases before it."""

    def smaller(self, case: Case, others: Iterable[Case], observe: Observe) -> Case:
        """The smallest of the cases that deviates, or the case itself."""
        smaller = sorted(
            {other.id: other for other in others if other.elements < case.elements}.values(), key=lambda c: c.elements
        )
        return next((other for other in smaller if self.deviates(other, observe)), case)

    def needs_others(self, case: Case, observe: Observe, open_process: OpenProcess) -> bool:
        """Whether a case that deviates in a used process does so again there, and in no new one."""
        new = (self.deviates_after((), case, open_process) for _ in range(AGREEING))
        return not any(new) and self.deviates(case, observe)

    def first_and_second(self, case: Case, open_process: OpenProcess) -> tuple[bool, bool]:
        """Whether the case deviates in its first and in its second run in a new process."""
        with open_process() as new:
            return self.deviates(case, new), self.deviates(case, new)

    def deviates_after(self, earlier: Sequence[Case], case: Case, open_process: OpenProcess) -> bool:
        """Whether the case deviates in a new process that has run these cases."""
        with open_process() as new:
            for before in earlier:
                new(before)
            return self.deviates(case, new)


def needing(history: History, judgement: Judgement) -> Judgement:
    """The judgement of a deviation that needs this history of its process; the message begins with it."""
    assert judgement.evidence is not None  # it is of a case that deviates
    evidence = msgspec.structs.replace(judgement.evidence, history=history)
    return Judgement(judgement.ratio, evidence, f"{WORDS[history]}: {judgement.message}")


def not_repeated(first: Judgement, words: str = "observed once, and not again when the case was repeated") -> Judgement:
    """The judgement of a deviation that no run repeats at will: what was observed first stays on record."""
    assert first.evidence is not None  # it is of a case that deviates
    evidence = msgspec.structs.replace(first.evidence, relation="repeats", ratio="inf")
    return Judgement(math.inf, evidence, f"{words}: {first.message}")
