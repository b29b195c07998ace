"""The domain of each case of a run: the dtype of its x, and of input normalization and networks which they are."""

from __future__ import annotations

from collections.abc import Iterable

from bnspec.clauses import CLAUSES
from bnspec.conformance.cases.effort import EffortName
from bnspec.conformance.cases.forward import offered
from bnspec.conformance.run.verify import cases_asked
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions


def cases_by_id(effort: EffortName, seed: int) -> dict[str, Case]:
    """The cases of a run of all clauses, and their forward passes."""
    forward = Conventions(gradient_modes=())
    drawn = list(cases_asked(effort, seed, list(CLAUSES.values())))
    return {case.id: case for case in (*drawn, *(offered(case, forward) for case in drawn))}


def domains(cases: Iterable[Case]) -> dict[str, str]:
    """By id."""
    return {case.id: domain(case) for case in cases}


def domain(case: Case) -> str:
    """The dtype of x; "layer_norm float32" where it is no batch normalization."""
    dtype = case.config.dtype
    return dtype if case.subject == "batch_norm" else f"{case.subject} {dtype}"
