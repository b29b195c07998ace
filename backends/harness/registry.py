"""Which backends there are: names and where their adapters are. Imports none of them."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import re
from collections.abc import Sequence
from importlib.metadata import entry_points

from bnspec.backends.harness.environments.spec import EnvironmentSpec, parse
from bnspec.errors import UsageError
from bnspec.model.names import BACKEND, CHARACTERS, ENVIRONMENT, base_of, fits
from bnspec.printable import clean

GROUP = "bnspec.backends"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A backend's name and its adapter as ``package.module:Class``, or, for one of one's own, ``path/file.py:Class``.

    Attributes:
        environment: that the call names for it, ``jax.numpy[jax==0.4.20]``; None: its usual one.
        base: its name without the environment; own.
    """

    name: str
    adapter: str
    environment: EnvironmentSpec | None = None

    @property
    def base(self) -> str:
        """Its name without the environment."""
        return self.name if self.environment is None else base_of(self.name)

    @property
    def own(self) -> bool:
        """Whether it was named on the command line, as package.module:Class or path/file.py:Class, and is not registered."""
        return self.base == self.adapter

    def within(self, environment: EnvironmentSpec) -> Entry:
        """The same backend in an environment. Raises UsageError: its code is in another package, which is not there."""
        if not self.own and not self.adapter.startswith("bnspec."):
            raise UsageError(
                f"{self.name} cannot be taken into an environment of its own.",
                f"its adapter {self.adapter} is installed here, by another package.",
                "name the file of the adapter: path/file.py:Class[" + environment.text + "].",
            )
        return checked(Entry(f"{self.base}[{environment.text}]", self.adapter, environment))


def registered() -> list[Entry]:
    """Every backend of the entry-point group ``bnspec.backends``, ours and others', sorted by name."""
    return sorted({Entry(e.name, e.value) for e in entry_points(group=GROUP)}, key=lambda e: e.name)


def own(spec: str) -> Entry:
    """An adapter of one's own. Raises UsageError: it is not written as one."""
    return checked(Entry(spec, spec))


def checked(entry: Entry) -> Entry:
    """The entry. Raises UsageError: its name is none."""
    if not fits(BACKEND, entry.name) or clean(entry.name) != entry.name:
        raise UsageError(
            f"{entry.name!r} names no adapter.",
            f"an adapter is package.module:Class or path/file.py:Class, in at most {CHARACTERS} printable characters.",
            "name its module or its file, a colon, and its class.",
        )
    return entry


#: A glob with an environment behind it.
WITHIN = re.compile(r"(.+?)\[(" + ENVIRONMENT[1:].removesuffix(r"$(?!\n)") + r")\]", re.DOTALL)

#: What no glob means: brackets with one of these hold an environment; others may be a glob's choice of characters.
SPECIFIED = re.compile("[=<>~/;]")


def select(patterns: Sequence[str]) -> list[Entry]:
    """The backends that the patterns name: shell globs over the names, ``package.module:Class`` or ``path/file.py:Class``.

    An environment in brackets behind a pattern takes its backends there. Raises UsageError: a pattern that matches nothing.
    """
    known = registered()
    if not patterns:
        return known
    chosen: list[Entry] = []
    for pattern in patterns:
        parts = WITHIN.fullmatch(pattern)
        found = [] if parts and SPECIFIED.search(parts[2]) else _matching(pattern, known)
        if not found and parts:
            environment = parse(parts[2])
            found = [e.within(environment) for e in _matching(parts[1], known)]
        if not found:
            raise _unknown(pattern, [e.name for e in known])
        chosen += [e for e in found if e not in chosen]
    return chosen


def _unknown(pattern: str, names: Sequence[str]) -> UsageError:
    """What is said of a pattern that no backend matches: there are too many names to list them."""
    roots = dict.fromkeys(name.partition(".")[0] for name in names)
    listed = [name for name in pattern.split(",") if name in names]
    near = difflib.get_close_matches(pattern, names, 3)
    if listed:
        fix = "name each by itself: " + " ".join(f"--backend {name}" for name in listed) + "."
    elif near:
        fix = f"did you mean {' or '.join(near)}?"
    else:
        fix = "bnspec backends lists them; an own adapter is given as package.module:Class or path/file.py:Class."
    known = "known are " + ", ".join(f"{root}*" for root in roots) if names else "no entry points are installed"
    return UsageError(f"no backend matches {pattern!r}.", known + ".", fix)


def _matching(pattern: str, known: Sequence[Entry]) -> list[Entry]:
    """The backends of a pattern without an environment."""
    if ":" in pattern:
        return [] if pattern.endswith("]") else [own(pattern)]
    return [e for e in known if fnmatch.fnmatchcase(e.name, pattern)]
