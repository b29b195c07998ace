"""All mutants and variants by name. Names are the defect: ``epsilon_outside_root``."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import re
from typing import Any, List, Sequence, Tuple

from bnspec.conformance.mutants import forward, gradients, state, variants
from bnspec.conformance.mutants.plain import PlainAdapter, PlainScaler
from bnspec.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Planted:
    """A mutant or a variant.

    Attributes:
        name: what is done to the layer.
        kind: "mutant" (must be killed) or "variant" (must not be accused).
        family: of the clauses that the mutant belongs to.
        killed_by: clauses of which at least one must kill it.
        statement: what it does, one sentence.
        implementation: the layer or scaler class.
    """

    name: str
    kind: str
    family: str
    killed_by: Tuple[str, ...]
    statement: str
    implementation: Any

    @property
    def adapter(self) -> str:
        """Where a worker finds it."""
        return "bnspec.conformance.mutants.planted:" + self.name

    def adapter_class(self) -> type:
        """The adapter over the implementation."""
        slot = "scaler_class" if issubclass(self.implementation, PlainScaler) else "layer_class"
        return type(self.name, (PlainAdapter,), {slot: self.implementation, "__doc__": self.statement})


def _planted(implementation: Any, kind: str) -> Planted:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", implementation.__name__).lower()
    statement = (implementation.__doc__ or "").strip()
    return Planted(name, kind, implementation.family, implementation.killed_by, statement, implementation)


MUTANTS = tuple(_planted(c, "mutant") for c in (*forward.MUTANTS, *state.MUTANTS, *gradients.MUTANTS))
VARIANTS = tuple(_planted(c, "variant") for c in variants.VARIANTS)
ALL = MUTANTS + VARIANTS


def select(patterns: Sequence[str]) -> List[Planted]:
    """Mutants and variants whose names match; all without patterns. Raises UsageError: a pattern without a match."""
    chosen: List[Planted] = []
    for pattern in patterns or ["*"]:
        found = [p for p in ALL if fnmatch.fnmatchcase(p.name, pattern)]
        if not found:
            near = difflib.get_close_matches(pattern, [p.name for p in ALL], 1)
            hint = "did you mean %s?" % near[0] if near else "bnspec mutants --json lists them."
            raise UsageError("no mutant or variant matches %r." % pattern, "their names say what they do.", hint)
        chosen += [p for p in found if p not in chosen]
    return chosen
