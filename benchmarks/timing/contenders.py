"""Contenders: who is timed, and under which conditions. What is compared is contenders, on the same workload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bnspec.backends.harness.compilation_cache import cold
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.targets import Target
from bnspec.benchmarks.timing.conditions import Conditions
from bnspec.errors import UsageError


@dataclass(frozen=True)
class Contender:
    """A target under conditions."""

    target: Target
    conditions: Conditions = field(default_factory=Conditions)

    @property
    def name(self) -> str:
        """As the records write it: ``torch.nn@cpu``, ``torch.nn@cpu[cache=cold,threads=1]``."""
        named = self.conditions.named
        said = ",".join(f"{axis}={named[axis]}" for axis in sorted(named))
        return self.target.name + (f"[{said}]" if said else "")

    def open(self) -> Worker:
        """A fresh process of it: the one way in which processes that are timed are opened."""
        environment = {**cold(), **self.conditions.environment}
        return Worker(self.target.entry, self.target.device, environment=environment)

    @property
    def options(self) -> dict[str, str]:
        """What the timing is told of the conditions; the rest is in the process's environment."""
        return {"cache": self.conditions.cache, "mode": self.conditions.mode}


def contenders_of(targets: Sequence[Target], conditions: Sequence[Conditions]) -> list[Contender]:
    """Every target under every combination of conditions."""
    return [Contender(target, c) for target in targets for c in conditions]


def baseline_of(contenders: Sequence[Contender], name: str) -> Contender:
    """The contender that the others are compared with: the one of this name, or the first one where none is given.

    Raises UsageError: there is none of this name.
    """
    if not name:
        return contenders[0]
    found = [c for c in contenders if name in (c.name, c.target.entry.name, c.target.name)]
    if not found:
        known = ", ".join(c.name for c in contenders)
        raise UsageError(f"no contender is called {name!r}.", f"those of this run are {known}.", "name one of them.")
    return found[0]
