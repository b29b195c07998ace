"""A case on a layer class of our own, in this process: what a worker would answer, without the worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bnspec.backends.worker.execution import run_case
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.selftest.reference.scaler import PlainAdapter
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle


def adapter_of(layer_class: type, **declared: Any) -> PlainAdapter:
    """An adapter whose layers are of this class; ``declared``: attributes of the adapter, its conventions say."""
    return type("Adapter", (PlainAdapter,), {"layer_class": layer_class, **declared})()


def observed(case: Case, adapter: PlainAdapter) -> Observation:
    """What came back."""
    return run_case(adapter, *case.header())


def judged(case: Case, adapter: PlainAdapter, clauses: Iterable[str]) -> dict[str, Judgement | None]:
    """The judgements of these clauses."""
    return judge(case, observed(case, adapter), adapter.conventions, Oracle(case), checks_for(list(clauses)))


def broken(case: Case, adapter: PlainAdapter, clauses: Iterable[str]) -> set[str]:
    """Which of these clauses the case shows to be broken."""
    return {c for c, j in judged(case, adapter, clauses).items() if j is not None and not j.holds}
