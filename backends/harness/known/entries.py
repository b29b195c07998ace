"""Known deviations: for each, on which inputs it happens, what class it is, why, and in which releases.

Strict both ways: a deviation outside every entry's inputs is new; an entry whose deviation no longer happens is stale. Both
fail ``pytest conformance``. An entry never hides anything: the finding is counted and shown, with its class and reason.

Classes: "bug" (contradicts the framework's own documentation or the definition), "documented difference" (the framework says
so), "accuracy" (right semantics, computed less exactly than good implementations do).

One file for each framework lists them; ``inputs`` holds the predicates; ``docs/deviations.md`` shows each with numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.known.deviation import CLASSES, Known, Predicate
from bnspec.model.case import Case

#: The entries of all backend folders.
KNOWN: tuple[Known, ...] = tuple(k for f in backend_folders() for k in f.harness_object("known", "KNOWN") or ())


def excuse_for(backend: str, versions: Mapping[str, str]) -> Callable[[str, Case], str]:
    """For a release of a backend: which known deviation covers a clause on a case, as "class: reason", or nothing."""
    mine = [k for k in KNOWN if k.concerns(backend, versions)]

    def excuse(clause: str, case: Case) -> str:
        return next((str(k) for k in mine if clause in k.clauses and k.where(case)), "")

    return excuse


__all__ = ["CLASSES", "KNOWN", "Known", "Predicate", "excuse_for"]
