"""One bisection: a question asked of the releases of a package, each in an environment of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bnspec.conformance.bisection.isolation import Companion, Isolation, changed, isolate
from bnspec.conformance.bisection.question import Open, Question
from bnspec.conformance.bisection.search import Answer, Found, search, until_sure

#: Told of each release, before it is asked and after: its version, and what is being done or what it answered.
Report = Callable[[str, str], None]


@dataclass(frozen=True)
class Built:
    """An environment: how the backend is opened in it, and what is installed."""

    open: Open
    packages: Mapping[str, str]


class NotThere(Exception):
    """An environment cannot be built; the text says why."""


#: Builds the environment of these requirements. Raises NotThere.
Build = Callable[[Sequence[str]], Built]


class Asked(Protocol):
    """Makes the question, once the first release is there that others are compared with."""

    def __call__(self, first: Open) -> Question:
        """The question."""


@dataclass(frozen=True)
class Bisection:
    """What came of it.

    Attributes:
        package, releases: that were searched, oldest first; words: the question.
        found: see ``search``; isolation: where the change comes from, None where none was found.
    """

    package: str
    releases: tuple[str, ...]
    words: str
    found: Found
    isolation: Isolation | None = None

    @property
    def enough(self) -> bool:
        """Whether two releases have an answer."""
        return sum(bool(p.answer.value) for p in self.found.probes) > 1

    @property
    def sentence(self) -> str:
        """The result in one line."""
        f = self.found
        if f.first is None or f.last is None:
            if not self.enough:
                return "fewer than two releases have an answer"
            if not f.monotonic:
                return "the oldest and the newest release answer the same, and one between them does not: more than one change"
            return "the answer is the same in all releases that were asked"
        change = f"{self.words} changed in {self.package} {self.releases[f.first]}"
        if f.skipped:
            between = ", ".join(self.releases[i] for i in f.skipped)
            change += f", or in one of those that could not be asked: {between}"
        return change if f.monotonic else f"{change}; it is not the only change"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        f, i = self.found, self.isolation
        return {
            "package": self.package,
            "question": self.words,
            "releases": list(self.releases),
            "last_before": None if f.last is None else self.releases[f.last],
            "first_after": None if f.first is None else self.releases[f.first],
            "monotonic": f.monotonic,
            "steps": f.steps,
            "sentence": self.sentence,
            "probes": [
                {
                    "release": self.releases[p.index],
                    "purpose": p.purpose,
                    "answer": p.answer.value or None,
                    "says": p.answer.says,
                    "asked": p.answer.asked,
                    "reason": p.answer.reason,
                }
                for p in f.probes
            ],
            "contradictions": [self.releases[p.index] for p in f.contradictions],
            "skipped": [self.releases[k] for k in f.skipped],
            "isolation": None
            if i is None
            else {
                "origin": i.origin,
                "sentence": i.sentence,
                "companions": [_companion(c) for c in i.companions],
                "culprits": [_companion(c) for c in i.culprits],
                "trials": [
                    {
                        "held": [c.name for c in t.held],
                        "answer": t.answer.value or None,
                        "says": t.answer.says,
                        "reason": t.answer.reason,
                    }
                    for t in i.trials
                ],
            },
        }


def _companion(companion: Companion) -> dict[str, str | None]:
    return {"package": companion.name, "before": companion.before, "after": companion.after}


@dataclass
class _Asking:
    """The releases of one bisection, each built once."""

    package: str
    requirement: str
    releases: Sequence[str]
    asked: Asked
    build: Build
    report: Report
    question: Question | None = None
    built: dict[int, Built] = field(default_factory=dict)

    def ask(self, index: int) -> Answer:
        """The sure answer of a release."""
        version = self.releases[index]
        self.report(version, "building")
        try:
            self.built[index] = self.build([f"{self.requirement}=={version}"])
        except NotThere as reason:
            answer = Answer("", reason=f"not built: {reason}")
        else:
            self.report(version, "asking")
            answer = self.sure(self.built[index].open)
        self.report(version, answer.value or answer.reason)
        return answer

    def sure(self, release: Open) -> Answer:
        """The answer, asked until it is sure."""
        if self.question is None:
            self.question = self.asked(release)
        question = self.question
        return until_sure(lambda: question.ask(release)) if question.repeated else question.ask(release)

    def with_requirements(self, requirements: Sequence[str]) -> Answer:
        """The answer of an environment with held companions."""
        self.report(" ".join(requirements), "building")
        try:
            built = self.build(requirements)
        except NotThere as reason:
            return Answer("", reason=f"the resolver does not allow it: {reason}")
        return self.sure(built.open)


def bisect(
    package: str, releases: Sequence[str], asked: Asked, build: Build, report: Report, extras: str = ""
) -> Bisection:
    """Search the releases, oldest first, and isolate the change. ``extras``: behind the package's name, "[cpu]"."""
    requirement = f"{package}{extras}"
    asking = _Asking(package, requirement, releases, asked, build, report)
    found = search(len(releases), asking.ask)
    words = asking.question.words if asking.question is not None else ""
    if found.first is None or found.last is None:
        return Bisection(package, tuple(releases), words, found)
    before, after = asking.built[found.last].packages, asking.built[found.first].packages
    companions = changed(package, before, after)
    old, new = found.answer(found.last).value, found.answer(found.first).value
    isolation = isolate(requirement, releases[found.first], companions, old, new, asking.with_requirements)
    return Bisection(package, tuple(releases), words, found, isolation)
