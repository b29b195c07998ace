"""Known deviations: for each, on which inputs it happens, what class it is, why, and in which releases.

Strict both ways: a deviation outside every entry's inputs is new; an entry whose deviation no longer happens is stale. Both
fail ``pytest conformance``. An entry never hides anything: the finding is counted and shown, with its class and reason.

Classes: "bug" (contradicts the framework's own documentation or the definition), "documented difference" (the framework says
so), "accuracy" (right semantics, computed less exactly than good implementations do).

One file for each framework lists them; ``inputs`` holds the predicates; ``docs/deviations.md`` shows each with numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnspec.backends.flax.harness.known import FLAX
from bnspec.backends.harness.known.deviation import CLASSES, Known, Predicate
from bnspec.backends.jax.harness.known import JAX
from bnspec.backends.keras.harness.known import KERAS
from bnspec.backends.tensorflow.harness.known import TENSORFLOW
from bnspec.backends.torch.harness.known import PYTORCH
from bnspec.model.case import Case

KNOWN: tuple[Known, ...] = (*PYTORCH, *FLAX, *JAX, *TENSORFLOW, *KERAS)


def excuse_for(backend: str, versions: Mapping[str, str]) -> Callable[[str, Case], str]:
    """For a release of a backend: which known deviation covers a clause on a case, as "class: reason", or nothing."""
    mine = [k for k in KNOWN if k.concerns(backend, versions)]

    def excuse(clause: str, case: Case) -> str:
        return next((str(k) for k in mine if clause in k.clauses and k.where(case)), "")

    return excuse


__all__ = ["CLASSES", "KNOWN", "Known", "Predicate", "excuse_for"]
