"""Runs and judges cases in this process, without a worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bnspec.backends.worker.execution import run_case
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.selftest.reference.scaler import PlainAdapter
from bnspec.contract import Adapter
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle


class InProcess:
    """Runs cases as a worker would, in this process."""

    def __init__(self, adapter: type[Adapter]) -> None:
        self.adapter = adapter("cpu")

    def run(self, case: Case) -> Observation:
        """The case's observation."""
        return run_case(self.adapter, *case.header())


def adapter_of(layer_class: type, **declared: Any) -> PlainAdapter:
    """An adapter for layers of this class; ``declared``: other attributes of the adapter, such as its conventions."""
    return type("Adapter", (PlainAdapter,), {"layer_class": layer_class, **declared})()


def observed(case: Case, adapter: PlainAdapter) -> Observation:
    """The observation of the case."""
    return run_case(adapter, *case.header())


def judged(case: Case, adapter: PlainAdapter, clauses: Iterable[str]) -> dict[str, Judgement | None]:
    """The judgements of these clauses."""
    return judge(case, observed(case, adapter), adapter.conventions, Oracle(case), checks_for(list(clauses)))


def broken(case: Case, adapter: PlainAdapter, clauses: Iterable[str]) -> set[str]:
    """The clauses that the case violates."""
    return {c for c, j in judged(case, adapter, clauses).items() if j is not None and not j.holds}
