"""A change seen again: the same case, script or experiment in both environments, in new processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bnspec.backends.harness.launcher import Worker
from bnspec.conformance.bisection.question import ClauseQuestion, ConventionQuestion, Open
from bnspec.conformance.bisection.search import Answer
from bnspec.conformance.run.bits import bits_of
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.atlas.changes import Means, Sight
from bnspec.reports.compare.change import Change
from bnspec.reports.run.files import case_text
from bnspec.reports.run.store import Run

#: Characters of what was seen.
WORDS_AT_MOST = 200


@dataclass
class Release:
    """A release as it was measured, and how to open it again.

    Attributes:
        run: its run directory; open: a new process of the backend; observations: of cases that were run again.
    """

    run: Run
    open: Open
    observations: dict[str, Observation] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    worker: Worker | None = None

    def observe(self, case: Case) -> Observation | None:
        """The case, run again; None where the backend does not open."""
        if case.id not in self.observations:
            if self.worker is None:
                self.worker = self.open()
            if self.worker.hello.conventions is None:
                return None
            self.observations[case.id] = self.worker.run(case)
        return self.observations[case.id]

    def convention(self, name: str) -> Answer:
        """A convention, inferred again."""
        if name not in self.answers:
            self.answers[name] = ConventionQuestion(name).ask(self.open)
        return self.answers[name]

    def close(self) -> None:
        """End the process."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None


@dataclass(frozen=True)
class Seen:
    """What came of a look: the sights, none where nothing was seen; and the case that showed it."""

    sights: tuple[Sight, ...] = ()
    case: Case | None = None


def see(change: Change, before: Release, after: Release, cases: Mapping[str, Case]) -> Seen:
    """Look again at one change. ``cases``: those of both runs, by id."""
    match change.kind:
        case "verdict":
            return _verdict(change, before, after, cases)
        case "convention":
            return Seen(_sights("experiment", before.convention(change.what), after.convention(change.what)))
        case "bits" | "ending":
            return _digests(change, before, after, cases)
        case "target":
            return Seen(_sights("experiment", _opened(before), _opened(after)))
        case _:
            return Seen()


def _sights(means: Means, a: Answer, b: Answer) -> tuple[Sight, ...]:
    """A sight, where both answered and the answers differ."""
    if not a.value or not b.value or a.value == b.value:
        return ()
    words = [(x.value if means == "experiment" else x.says)[:WORDS_AT_MOST] for x in (a, b)]
    return (Sight(means, *words),) if words[0] != words[1] else ()


def _verdict(change: Change, before: Release, after: Release, cases: Mapping[str, Case]) -> Seen:
    """The smallest case first; where that does not show it, the one that the runs share."""
    for case in _candidates(change, before, after, cases):
        question = ClauseQuestion(change.what, [case])
        answers = [_judged(question, case, release) for release in (before, after)]
        if sights := _sights("case", *answers):
            return Seen(sights, case)
    return Seen()


def _judged(question: ClauseQuestion, case: Case, release: Release) -> Answer:
    observation = release.observe(case)
    worker = release.worker
    if observation is None or worker is None or worker.hello.conventions is None:
        return Answer("", reason="it does not open")
    return question.answer([question.judged(case, observation, worker.hello.conventions, Oracle(case))])


def _candidates(change: Change, before: Release, after: Release, cases: Mapping[str, Case]) -> list[Case]:
    run = (before if change.direction == "repair" else after).run
    found = []
    if change.case is not None:
        try:
            found.append(Case.loads(case_text(run.path, change.case)))
        except UsageError:
            pass
    if change.example is not None and change.example in cases:
        found.append(cases[change.example])
    return found


def _digests(change: Change, before: Release, after: Release, cases: Mapping[str, Case]) -> Seen:
    """The digests of one output, or how the steps ended."""
    case = cases.get(change.example or "")
    if case is None:
        return Seen()
    observations = [release.observe(case) for release in (before, after)]
    if None in observations:
        return Seen()
    bits = [bits_of(o) for o in observations if o is not None]
    if change.kind == "bits":
        words = [f"{change.what} {b.outputs.get(change.what, 'absent')}" for b in bits]
    else:
        words = [b.endings or "all steps return" for b in bits]
    return Seen(_sights("case", *(Answer(w, w) for w in words)), case)


def _opened(release: Release) -> Answer:
    if release.worker is None:
        release.worker = release.open()
    hello = release.worker.hello
    return Answer(hello.status if hello.status == "ready" else f"{hello.status}: {hello.reason}")
