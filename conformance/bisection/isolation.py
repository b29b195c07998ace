"""Was it the package itself, or one of the packages that changed with it?

The release in which the answer changed is built again with its companions held at the versions of the release before it. Where
the resolver does not allow all of them, each is held alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bnspec.conformance.bisection.search import Answer

#: What isolation says. unknown: no environment with held companions could be built, or its answer is a third one.
Origin = Literal["package", "companion", "unknown"]
#: Answers a release that is installed with these requirements; an answer without a value says why there is none.
AskWith = Callable[[Sequence[str]], Answer]


@dataclass(frozen=True)
class Companion:
    """A package that changed with the release; None where it was not there."""

    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.before or 'absent'} → {self.after or 'absent'}"


@dataclass(frozen=True)
class Trial:
    """The release with some companions held at their former versions, and what it answered."""

    held: tuple[Companion, ...]
    answer: Answer


@dataclass(frozen=True)
class Isolation:
    """Where a change comes from.

    Attributes:
        companions: what else changed; culprits: of them, those without which the answer is the old one; trials: what was tried.
    """

    origin: Origin
    companions: tuple[Companion, ...]
    culprits: tuple[Companion, ...] = ()
    trials: tuple[Trial, ...] = ()

    @property
    def sentence(self) -> str:
        """What was found, for a person."""
        if not self.companions:
            return "nothing else changed between the two environments: it is the package itself"
        if self.origin == "package":
            held = ", ".join(c.name for c in self.trials[-1].held)
            return f"the package itself: with {held} held at the former version, the answer is the new one"
        if self.origin == "companion":
            return f"with it changed {', '.join(map(str, self.culprits))}: held at the former version, the answer is the old one"
        names = ", ".join(c.name for c in self.companions)
        if not any(t.answer.value for t in self.trials):
            return f"the package itself or {names}: not told, because the former versions cannot be installed with it"
        return f"the package itself or {names}: not told, because with the former versions the answer is a third one"


def changed(package: str, before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Companion, ...]:
    """The other packages whose versions differ between two environments."""
    names = sorted((before.keys() | after.keys()) - {package})
    return tuple(Companion(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n))


def isolate(package: str, release: str, companions: Sequence[Companion], old: str, new: str, ask: AskWith) -> Isolation:
    """Hold the companions and ask again. ``package``: its name, with extras; ``old``, ``new``: the answers before and after."""
    held = tuple(c for c in companions if c.before is not None)
    if not held:
        return Isolation("package" if not companions else "unknown", tuple(companions))
    trials: list[Trial] = []

    def trial(some: tuple[Companion, ...]) -> str:
        requirements = [f"{package}=={release}", *(f"{c.name}=={c.before}" for c in some)]
        trials.append(Trial(some, ask(requirements)))
        return trials[-1].answer.value

    def said(origin: Origin, culprits: Sequence[Companion] = ()) -> Isolation:
        return Isolation(origin, tuple(companions), tuple(culprits), tuple(trials))

    every = trial(held)
    if every == new:
        return said("package")
    if len(held) == 1:
        return said("companion", held) if every == old else said("unknown")
    alone = [c for c in held if trial((c,)) == old]
    if alone:
        return said("companion", alone)
    return said("companion", held) if every == old else said("unknown")
