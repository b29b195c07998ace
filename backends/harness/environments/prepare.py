"""The environments that a run needs, had before it begins: what is installed is said, and so is what need not be."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from bnspec.backends.harness.environments.cache import obtain
from bnspec.backends.harness.environments.environment import Environment
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.homes import spec_of
from bnspec.backends.harness.environments.spec import FIX, EnvironmentSpec
from bnspec.backends.harness.registry import Entry
from bnspec.errors import UsageError

#: Installers wait for the network more than they compute.
AT_ONCE = 3


class Progress(Protocol):
    """Where it is said: ``bnspec.terminal.progress.Progress``."""

    def update(self, part: str, doing: str) -> None:
        """What a part is doing."""

    def end(self, part: str, outcome: str) -> None:
        """How it has ended."""


def specs_of(entries: Sequence[Entry]) -> list[EnvironmentSpec]:
    """The environments of the backends, each once."""
    return list(dict.fromkeys(s for e in entries if (s := spec_of(e)) is not None))


def prepare(specs: Sequence[EnvironmentSpec], progress: Progress) -> list[Environment | NotBuilt]:
    """Have them all, a few at a time, in their order. What cannot be had stays a reason: its targets say it.

    Raises UsageError: a specification is the path of a Python, and no program is there.
    """
    for spec in specs:
        refuse_no_program(spec)

    def one(spec: EnvironmentSpec) -> Environment | NotBuilt:
        part = f"environment {spec.text}"
        started = time.monotonic()
        report: Callable[[str], None] = lambda doing: progress.update(part, doing)
        try:
            made = obtain(spec, report)
        except NotBuilt as reason:
            progress.end(part, f"cannot be had: {reason.reason}")
            return reason
        progress.end(part, said(made, time.monotonic() - started))
        return made

    if not specs:
        return []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, specs))


def refuse_no_program(spec: EnvironmentSpec) -> None:
    """Raise UsageError where the specification is a path at which no program is: a name that was mistyped, and no state of a package."""
    path = spec.interpreter
    if path and not (os.path.isfile(path) and os.access(path, os.X_OK)):
        why = "it may not be run" if os.path.isfile(path) else "no file is there"
        raise UsageError(f"{path!r} is no Python.", f"{why}.", "give the path of one, or " + FIX.removeprefix("write "))


def said(made: Environment, seconds: float) -> str:
    """What was done for an environment."""
    if made.folder is None:
        return f"Python {made.version}, taken as it is"
    what = f"{len(made.packages)} packages, Python {made.version}, lock {made.lock}"
    return f"installed in {seconds:.0f} s: {what}" if made.built else f"nothing to install: {what}"
