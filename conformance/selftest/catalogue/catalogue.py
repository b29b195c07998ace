"""All mutants and variants by name. Names are the defect: ``epsilon_outside_root``."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import re
from typing import Any, List, Sequence, Tuple

from bnspec.conformance.selftest.mutants import (
    blocks,
    caches,
    corrections,
    degenerate,
    derivatives,
    derivatives_in_settings,
    dtypes,
    epsilon,
    extents,
    forward,
    gradients,
    inference,
    layouts,
    long_sums,
    networks,
    one_pass,
    overruns,
    padding,
    parameter_gradients,
    purity,
    refusals,
    relations,
    roundings,
    running,
    scaler_fits,
    scaler_transforms,
    special,
    statistics,
    steps,
    threads,
)
from bnspec.conformance.selftest.mutants import copies_and_checkpoints as histories
from bnspec.conformance.selftest.mutants import freezing_and_initial_state as freezing
from bnspec.conformance.selftest.reference.full_layer import FullAdapter, FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainAdapter, PlainScaler
from bnspec.conformance.selftest.variants import conventions as variants_conventions
from bnspec.conformance.selftest.variants import copies_and_checkpoints as variants_histories
from bnspec.conformance.selftest.variants import corrections as variants_corrections
from bnspec.conformance.selftest.variants import derivatives as variants_derivatives
from bnspec.conformance.selftest.variants import forms as variants_forms
from bnspec.conformance.selftest.variants import memory as variants_memory
from bnspec.conformance.selftest.variants import roundings as variants_roundings
from bnspec.conformance.selftest.variants import scalers as variants_scalers
from bnspec.conformance.selftest.variants import sums as variants_sums
from bnspec.errors import UsageError
from bnspec.model.case import Case


@dataclasses.dataclass(frozen=True)
class CatalogueEntry:
    """A mutant or a variant.

    Attributes:
        name: the defect or the unusual property.
        kind: "mutant" (must be killed) or "variant" (must not be accused).
        family: the family of clauses that the mutant belongs to.
        killed_by: clauses, at least one of which must kill it (or, at level MAY, note it).
        escapes: why the suite does not detect the mutant; empty if it does.
        path: the only path on which the mutant is wrong; empty if it is wrong on all.
        statement: one sentence on its behaviour.
        implementation: the layer or scaler class.
    """

    name: str
    kind: str
    family: str
    killed_by: Tuple[str, ...]
    path: str
    escapes: str
    statement: str
    implementation: Any

    @property
    def adapter(self) -> str:
        """The name by which a worker loads it."""
        return "bnspec.conformance.selftest.catalogue.adapters:" + self.name

    @property
    def is_scaler(self) -> bool:
        """Whether it is an input-normalization layer."""
        return issubclass(self.implementation, PlainScaler)

    def applies_to(self, case: Case) -> bool:
        """Whether the case can distinguish it from its base class: scalers need input normalization, layers any other subject."""
        calls = self.implementation.calls
        if calls and not any(s.call in calls for s in case.steps):
            return False
        return (case.subject == "input_norm") == self.is_scaler

    def adapter_class(self) -> type:
        """The adapter for the implementation, with its declared conventions."""
        slot = "scaler_class" if self.is_scaler else "layer_class"
        base = FullAdapter if issubclass(self.implementation, FullLayer) else PlainAdapter
        conventions = dataclasses.replace(base.conventions, **self.implementation.declares)
        body = {slot: self.implementation, "conventions": conventions, "__doc__": self.statement}
        return type(self.name, (base,), body)


def _entries_of(module: Any, kind: str) -> List[CatalogueEntry]:
    """A module's entries: its public layers and scalers, in source order."""
    found = []
    for name, made in vars(module).items():
        if name.startswith("_") or not isinstance(made, type) or made.__module__ != module.__name__:
            continue
        if issubclass(made, (PlainLayer, PlainScaler)):
            words = re.sub(r"(?<!^)(?=[A-Z])|(?<=[a-z])(?=[0-9])", "_", made.__name__).lower()
            statement = (made.__doc__ or "").strip()
            found.append(
                CatalogueEntry(words, kind, made.family, made.killed_by, made.path, made.escapes, statement, made)
            )
    return found


_DEFECTIVE = (
    epsilon,
    statistics,
    one_pass,
    blocks,
    forward,
    inference,
    running,
    steps,
    gradients,
    parameter_gradients,
    layouts,
    long_sums,
    dtypes,
    degenerate,
    purity,
    overruns,
    caches,
    scaler_fits,
    scaler_transforms,
    relations,
    threads,
    derivatives,
    derivatives_in_settings,
    histories,
    freezing,
    refusals,
    padding,
    special,
    networks,
    extents,
    corrections,
    roundings,
)
_CORRECT = (
    variants_sums,
    variants_forms,
    variants_conventions,
    variants_memory,
    variants_scalers,
    variants_derivatives,
    variants_histories,
    variants_corrections,
    variants_roundings,
)

MUTANTS = tuple(p for m in _DEFECTIVE for p in _entries_of(m, "mutant"))
VARIANTS = tuple(p for m in _CORRECT for p in _entries_of(m, "variant"))
ALL = MUTANTS + VARIANTS


def select(patterns: Sequence[str], kind: str = "") -> List[CatalogueEntry]:
    """Mutants and variants whose names match; all without patterns. Raises UsageError: a pattern without a match."""
    among = [p for p in ALL if kind in ("", p.kind)]
    chosen: List[CatalogueEntry] = []
    for pattern in patterns or ["*"]:
        found = [p for p in among if fnmatch.fnmatchcase(p.name, pattern)]
        if not found:
            near = difflib.get_close_matches(pattern, [p.name for p in among], 3, cutoff=0.0)
            hint = "the nearest names are %s." % ", ".join(near)
            what = "no %s matches %r." % (kind or "mutant or variant", pattern)
            raise UsageError(what, "names describe the defect or property.", hint)
        chosen += [p for p in found if p not in chosen]
    return chosen
