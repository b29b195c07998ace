"""One saved case, run again on a target and judged: every step with its worst element, and every clause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target
from bnspec.clauses import CLAUSES, Clause
from bnspec.conformance.checks.examination import Examination
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.collector import COMPLETES
from bnspec.conformance.judge.judge import asks, checks_for, examine
from bnspec.conformance.judge.known_deviations import known_lookup
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import KnownDeviation, recorded
from bnspec.reports.run.files import case_text, resolved
from bnspec.reports.run.reading import MANIFEST, Run, read_run
from bnspec.reports.run.store import CASES


class Element(msgspec.Struct, frozen=True):
    """The element of an output whose error is the largest part of its bound.

    Attributes: index; expected, got, bound: numbers, "nan", "inf" or "-inf"; ratio: error / bound.
    """

    output: str
    index: tuple[int, ...]
    expected: float | str | None
    got: float | str | None
    bound: float | str | None
    ratio: float | str | None


class ReplayedStep(msgspec.Struct, frozen=True):
    """A step: its number, call and status, what it raised or why it was declined, and the worst element of each output."""

    number: int
    call: str
    status: str
    message: str
    elements: tuple[Element, ...]


@dataclass(frozen=True)
class Replay:
    """A case on a target.

    Attributes:
        reason: why there is no answer, "" where there is one; opened: whether the backend opened, so that none is its fault.
        judgements: by clause; None where the backend declined all that the clause asks.
        known: the known deviations that cover broken clauses.
    """

    target: Target
    reason: str
    opened: bool = True
    steps: Sequence[ReplayedStep] = ()
    judgements: Mapping[str, Judgement | None] = field(default_factory=dict)
    known: Mapping[str, KnownDeviation] = field(default_factory=dict)

    @property
    def broken(self) -> list[str]:
        """The clauses that are broken, in the order of the specification."""
        return [c for c in CLAUSES if (j := self.judgements.get(c)) is not None and not j.holds]

    @property
    def deviates(self) -> bool:
        """Whether a MUST or a SHOULD is broken, or there is no answer from a backend that opened."""
        return (self.opened and bool(self.reason)) or any(CLAUSES[c].level != "MAY" for c in self.broken)


def saved_case(path: Path) -> Case:
    """The case of a file. Raises UsageError: there is none."""
    fix = "give the path of a case: RUN/cases/ID.json, as findings name it."
    place = path
    try:
        place = resolved(path)
        text = case_text(place.parent, place.name)
    except UsageError as error:
        raise UsageError(error.what.replace(str(place), str(path)), error.why, fix) from None
    try:
        return Case.loads(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error.what}", error.why, error.fix) from None


def run_of(path: Path) -> Run | None:
    """The run that a saved case lies in; None where it lies in none."""
    folder = resolved(path).parent
    return read_run(folder.parent) if folder.name == CASES and (folder.parent / MANIFEST).is_file() else None


def found_on(path: Path) -> tuple[list[str], list[str]]:
    """The backends and devices on which the run that a saved case lies in found it, or all of that run; nothing where it lies in none."""
    if (run := run_of(path)) is None:
        return [], []
    found = [f for f in run.findings if f.shrunk == f"{CASES}/{path.name}"] or run.targets
    return list(dict.fromkeys(f.backend for f in found)), list(dict.fromkeys(f.device for f in found))


def refuse_unasked(case: Case, clauses: Sequence[Clause], named: bool) -> None:
    """Raise UsageError where the clauses are ``named``, and the case asks none of them: nothing would be judged, and look kept."""
    asked = [c.id for c in clauses]
    if named and COMPLETES not in asked and not asks(case, checks_for(asked)):
        others = [c for c in CLAUSES if asks(case, checks_for([c]))]
        raise UsageError(
            f"the case {case.id} asks none of these clauses.",
            f"it asks {', '.join(others[:3]) or 'no clause'}{' and others' * (len(others) > 3)}.",
            "name one of these with --clause, or leave it out.",
        )


def replay(
    case: Case,
    target: Target,
    clauses: Sequence[Clause],
    limits: Limits | None = None,
    environment: Mapping[str, str] | None = None,
) -> Replay:
    """Run the case in a new worker of the target, with these variables, and judge it by the clauses."""
    with Worker(target.entry, target.device, limits=limits, environment=environment) as worker:
        hello = worker.hello
        if hello.status != "ready" or hello.conventions is None:
            return Replay(target, f"{hello.status}: {hello.reason}", opened=False)
        observation = worker.run(case)
        known = known_lookup(target.entry.name, hello.versions, target.device)
        if observation.status in ("crashed", "timeout"):
            return Replay(target, f"{observation.status}: {observation.message}")
        exam = Examination(case, observation, hello.conventions, Oracle(case))
        judgements = examine(exam, checks_for([c.id for c in clauses]))
        steps = [replayed(exam, i) for i in range(len(case.steps))]
    covered = {c: k for c, j in judgements.items() if j and not j.holds and (k := known(c, case))}
    return Replay(target, "", True, steps, judgements, covered)


def replayed(exam: Examination, i: int) -> ReplayedStep:
    """Step i with the worst element of each of its outputs, by the permissive bound."""
    result = exam.result(i)
    elements = []
    for name, expected in exam.expected(i).items() if result.status == "ok" else ():
        worst, got = exam.worst(i, name, "permissive"), exam.got(i, name)
        if worst is None or got is None or got.shape != expected.value.shape:
            continue
        ratio, index = worst
        bound = expected.bounds["permissive"][index]
        found = Element(
            name, index, recorded(expected.rounded[index]), recorded(got[index]), recorded(bound), recorded(ratio)
        )
        elements.append(found)
    return ReplayedStep(i + 1, exam.step(i).call.name, result.status, result.message, tuple(elements))
