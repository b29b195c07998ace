"""Known deviations: for each, on which inputs it happens, what class it is, why, and in which releases.

Strict both ways: a deviation outside every entry's inputs is new; an entry whose deviation no longer happens is stale. Both
fail ``pytest conformance``. An entry never hides anything: the finding is counted and shown, with its class and reason.

Each backend folder lists its own in ``harness/known.py``; ``predicates`` holds the predicates that they share; ``document``
writes ``docs/deviations.md`` from them.
"""

from __future__ import annotations

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.known.deviation import CLASSES, Choice, Known, Predicate

#: The entries of each backend folder that has any, by the folder's name.
BY_FOLDER: dict[str, tuple[Known, ...]] = {
    f.name: entries for f in backend_folders() if (entries := f.harness_object("known", "KNOWN"))
}
#: The entries of all backend folders.
KNOWN: tuple[Known, ...] = tuple(k for entries in BY_FOLDER.values() for k in entries)
#: The recorded choices of all backend folders.
CHOICES: tuple[Choice, ...] = tuple(c for f in backend_folders() for c in f.harness_object("known", "CHOICES") or ())

__all__ = ["BY_FOLDER", "CHOICES", "CLASSES", "Choice", "KNOWN", "Known", "Predicate"]
