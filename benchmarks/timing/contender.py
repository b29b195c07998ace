"""Contenders: targets under conditions. Comparisons are between contenders, on the same workload."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from bnspec.backends.harness.compilation_cache import cold
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target
from bnspec.benchmarks.timing.conditions import OF_THE_HOST, Conditions
from bnspec.errors import UsageError


@dataclass(frozen=True)
class Contender:
    """A target under conditions."""

    target: Target
    conditions: Conditions = field(default_factory=Conditions)
    limits: Limits = field(default_factory=Limits)

    @property
    def name(self) -> str:
        """The name in records: ``torch.nn@cpu``, ``torch.nn@cpu[cache=cold,threads=1]``."""
        named = self.conditions.named
        suffix = ",".join(f"{axis}={named[axis]}" for axis in sorted(named))
        return self.target.name + (f"[{suffix}]" if suffix else "")

    def open(self) -> Worker:
        """A fresh process; the only place where timed processes are opened. Its compilers start cold."""
        environment = {**cold(), **self.conditions.environment}
        return Worker(self.target.entry, self.target.device, limits=self.limits, environment=environment)

    @property
    def options(self) -> dict[str, str]:
        """The conditions that the worker's timing takes as options; the others are in the process's environment."""
        return {"cache": self.conditions.cache, "mode": self.conditions.mode}


def contenders_of(
    targets: Sequence[Target], conditions: Sequence[Conditions], limits: Limits | None = None
) -> list[Contender]:
    """Every target under every combination of conditions; ``limits``: of their workers.

    Raises UsageError: a condition that is of the host, on another device.
    """
    for target, condition in itertools.product(targets, conditions):
        named = [axis for axis in OF_THE_HOST if axis in condition.named]
        if named and not target.on_host:
            raise UsageError(
                f"{named[0]} {condition.named[named[0]]} does nothing on {target.device}.",
                "it is a condition of the host's memory and processors, and the call runs on a device of its own.",
                f"leave out --{named[0]}, or time --device cpu.",
            )
    return [Contender(target, c, limits or Limits()) for target in targets for c in conditions]


def baseline_of(contenders: Sequence[Contender], name: str) -> Contender:
    """The contender that the others are compared with: the one of this name, or without a name the first.

    Raises UsageError: there is none of this name.
    """
    if not name:
        return contenders[0]
    found = [c for c in contenders if name in (c.name, c.target.entry.name, c.target.name)]
    if not found:
        known = ", ".join(c.name for c in contenders)
        raise UsageError(f"no contender is called {name!r}.", f"those of this run are {known}.", "name one of them.")
    return found[0]
