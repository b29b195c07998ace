"""Deviations as experiments leave them, for tests of how they are grouped."""

from __future__ import annotations

import dataclasses

import msgspec

from bnspec.clauses import CLAUSES
from bnspec.conformance.causes.deviation import Deviation
from bnspec.reports.run.causes import Condition
from bnspec.reports.run.evidence import Evidence, KnownDeviation, Relation
from bnspec.reports.run.records import Finding

LARGE = 1e6
KNOWN = KnownDeviation(kind="bug", reason="it is so.", conditions="always", package="alpha", versions=">=1")


def deviation(clause: str, output: str, call: str = "training_gradients", **changes: object) -> Deviation:
    """A finding of a clause about one output."""
    c = CLAUSES[clause]
    evidence = Evidence(step=0, call=call, relation="within_bound", output=output, index=(0,), ratio=2.0)
    finding = Finding(clause, c.family, c.level, "alpha", "cpu", "deviates", 3, 1, 0, 2.0, evidence=evidence)
    return Deviation(msgspec.structs.replace(finding, **changes))


def needing(found: Deviation, *features: str) -> Deviation:
    """The deviation with conditions."""
    return dataclasses.replace(found, conditions=tuple(Condition(f, "any", "usual") for f in features))


def with_relation(found: Deviation, relation: Relation) -> Deviation:
    """The deviation, of another relation."""
    assert found.finding.evidence is not None
    evidence = msgspec.structs.replace(found.finding.evidence, relation=relation)
    return dataclasses.replace(found, finding=msgspec.structs.replace(found.finding, evidence=evidence))
