"""Which backends there are: names and where their adapters live. Imports none of them."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
from collections.abc import Sequence
from importlib.metadata import entry_points

from bnspec.errors import UsageError

GROUP = "bnspec.backends"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A backend's name and its adapter as ``package.module:Class``."""

    name: str
    adapter: str


def registered() -> list[Entry]:
    """Every backend of the entry-point group ``bnspec.backends``, ours and others', sorted by name."""
    return sorted({Entry(e.name, e.value) for e in entry_points(group=GROUP)}, key=lambda e: e.name)


def select(patterns: Sequence[str]) -> list[Entry]:
    """The backends that the patterns name: shell globs over the names, or ``package.module:Class``.

    Raises UsageError: a pattern that matches nothing.
    """
    known = registered()
    if not patterns:
        return known
    chosen: list[Entry] = []
    for pattern in patterns:
        if ":" in pattern:
            found = [Entry(pattern, pattern)]
        else:
            found = [e for e in known if fnmatch.fnmatchcase(e.name, pattern)]
        if not found:
            names = [e.name for e in known]
            near = difflib.get_close_matches(pattern, names, 1)
            raise UsageError(
                f"no backend matches {pattern!r}.",
                "known are " + (", ".join(names) or "none: the package's entry points are not installed") + ".",
                (f"did you mean {near[0]}? " if near else "") + "An own adapter is given as package.module:Class.",
            )
        chosen += [e for e in found if e not in chosen]
    return chosen
