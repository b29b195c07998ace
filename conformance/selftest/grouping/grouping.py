"""The causes that the suite names for a mutant, run in this process."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bnspec.backends.worker.execution import run_case
from bnspec.clauses import ASKED, CLAUSES
from bnspec.conformance.causes.causes import Examined, causes_of
from bnspec.conformance.causes.order import in_its_own_words
from bnspec.conformance.judge.collector import Collector
from bnspec.conformance.judge.finding import finding_of
from bnspec.conformance.run.smallest import smallest
from bnspec.conformance.selftest.catalogue.catalogue import CatalogueEntry
from bnspec.contract import Adapter
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import FAILING

#: For shrinking the case of one clause, and for all experiments on one layer; of processor time.
SHRINK_SECONDS, CAUSE_SECONDS = 1.5, 30.0

#: A choice that the reference layer itself makes: where squares overflow, its y is beta.
OF_REFERENCE = "special.overflow_is_not_finite"


@dataclass(frozen=True)
class Grouped:
    """The findings of a layer that fail, and the causes behind them."""

    findings: Sequence[Finding]
    causes: Sequence[Cause]

    @property
    def judged(self) -> Sequence[Cause]:
        """Those of level MUST and SHOULD; a MAY is only recorded."""
        return [c for c in self.causes if c.level != "MAY"]

    @property
    def named(self) -> Sequence[Cause]:
        """Those that are judged; where there is none, the choices in which the mutant differs from its correct base."""
        return self.judged or [c for c in self.causes if c.clause != OF_REFERENCE] or self.causes

    def names(self, entry: CatalogueEntry) -> bool:
        """Whether there is one cause, of the mutant's family or of that of a clause that the mutant expects."""
        named = self.named
        return len(named) == 1 and named[0].family in {entry.family, *(CLAUSES[c].family for c in entry.killed_by)}

    def describes(self, entry: CatalogueEntry) -> bool:
        """Whether there is one cause that names the mutant's family, or says the same by a clause and what it needs.

        "dgamma is wrong where the channels are last" and "the axis is misread in dgamma" are one law: a clause that the mutant
        expects shows the cause, and that one or the one that names it speaks of what is needed.
        """
        named = self.named
        if len(named) != 1 or self.names(entry):
            return self.names(entry)
        [cause] = named
        shown = [f for f in self.findings if f.clause in cause.clauses and f.clause in entry.killed_by]
        naming = [f for f in self.findings if f.clause == cause.clause]
        return bool(shown) and any(in_its_own_words(f, cause.conditions) for f in (*shown, *naming))


def causes_of_layer(
    adapter: Adapter, cases: Mapping[Case, Oracle], name: str = "layer", shrink_seconds: float = SHRINK_SECONDS
) -> Grouped:
    """Run the cases on an adapter's layers, shrink what deviates, and find the causes."""

    def observe(case: Case) -> Observation:
        return run_case(adapter, *case.header())

    conventions = adapter.conventions
    collector = Collector(list(ASKED), conventions)
    found: list[Finding] = []
    small: dict[str, Case] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for order, (case, oracle) in enumerate(cases.items()):
            collector.collect(case, observe(case), oracle, order)
        for clause, tally in collector.tallies.items():
            if tally.verdict in FAILING and tally.smallest is not None:
                case, judgement = smallest(
                    clause,
                    tally.smallest,
                    observe,
                    conventions,
                    shrink_seconds,
                    others=small.values(),
                    clock=time.process_time,
                )
                small[clause] = case
                path = _path(case)
                found.append(finding_of(clause, tally, name, "cpu", case=path, shrunk=path, judgement=judgement))
        target = Examined(observe, conventions, _path, clock=time.process_time)
        failing = {clause: tally.failing for clause, tally in collector.tallies.items()}
        return Grouped(found, causes_of(target, found, small, CAUSE_SECONDS, failing))


def _path(case: Case) -> str:
    """Where a case would be saved."""
    return f"cases/{case.id}.json"
