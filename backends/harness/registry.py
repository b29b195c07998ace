"""Which backends there are: names and where their adapters are. Imports none of them."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
from collections.abc import Sequence
from importlib.metadata import entry_points

from bnspec.errors import UsageError
from bnspec.model.names import BACKEND, CHARACTERS, fits
from bnspec.printable import clean

GROUP = "bnspec.backends"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A backend's name and its adapter as ``package.module:Class``, or, for one of one's own, ``path/file.py:Class``.

    Attributes: own.
    """

    name: str
    adapter: str

    @property
    def own(self) -> bool:
        """Whether it was named on the command line, as package.module:Class or path/file.py:Class, and is not registered."""
        return self.name == self.adapter


def registered() -> list[Entry]:
    """Every backend of the entry-point group ``bnspec.backends``, ours and others', sorted by name."""
    return sorted({Entry(e.name, e.value) for e in entry_points(group=GROUP)}, key=lambda e: e.name)


def own(spec: str) -> Entry:
    """An adapter of one's own. Raises UsageError: it is not written as one."""
    if not fits(BACKEND, spec) or clean(spec) != spec:
        raise UsageError(
            f"{spec!r} names no adapter.",
            f"an adapter is package.module:Class or path/file.py:Class, in at most {CHARACTERS} printable characters.",
            "name its module or its file, a colon, and its class.",
        )
    return Entry(spec, spec)


def select(patterns: Sequence[str]) -> list[Entry]:
    """The backends that the patterns name: shell globs over the names, ``package.module:Class`` or ``path/file.py:Class``.

    Raises UsageError: a pattern that matches nothing.
    """
    known = registered()
    if not patterns:
        return known
    chosen: list[Entry] = []
    for pattern in patterns:
        if ":" in pattern:
            found = [own(pattern)]
        else:
            found = [e for e in known if fnmatch.fnmatchcase(e.name, pattern)]
        if not found:
            names = [e.name for e in known]
            near = difflib.get_close_matches(pattern, names, 1)
            raise UsageError(
                f"no backend matches {pattern!r}.",
                "known are " + (", ".join(names) or "none: the package's entry points are not installed") + ".",
                (f"did you mean {near[0]}? " if near else "")
                + "An own adapter is given as package.module:Class or path/file.py:Class.",
            )
        chosen += [e for e in found if e not in chosen]
    return chosen
