"""The judged cases of a target as entries of the journal, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from bnspec.backends.harness.targets import Target
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.collector import CaseJudgements
from bnspec.conformance.judge.finding import json_ratio
from bnspec.model.case import Case
from bnspec.model.vocabulary import Status
from bnspec.reports.run.bits import CaseBits
from bnspec.reports.run.journal import AnyEntry, Broken, JudgedCase
from bnspec.reports.run.records import Finding, TargetRecord
from bnspec.reports.run.store import Run

#: (backend, device, order, at): what tells an entry from others.
Place = tuple[str, str, int, float]


def entry_of(
    place: Place, case: Case, found: CaseJudgements, seconds: Mapping[str, float], bits: CaseBits | None = None
) -> JudgedCase:
    """A judged case as an entry. ``seconds``: where its time went; ``bits``: of what came."""
    backend, device, order, at = place
    broken = []
    for clause, judgement in found.judgements.items():
        if judgement is not None and judgement.evidence is not None:
            ratio = json_ratio(judgement.ratio)
            broken.append(Broken(clause, ratio, judgement.evidence, judgement.message, found.known.get(clause)))
    return JudgedCase(
        backend,
        device,
        order,
        case.id,
        found.status,
        at,
        kept={c: j.ratio for c, j in found.judgements.items() if j is not None and j.holds},
        broken=tuple(broken),
        declined={c: found.reasons[c] for c, j in found.judgements.items() if j is None},
        seconds={name: round(s, 6) for name, s in seconds.items()},
        elements=case.elements if broken else 0,
        bits=bits,
    )


def judgements_of(entry: JudgedCase) -> CaseJudgements:
    """The inverse of ``entry_of``."""
    judgements: dict[str, Judgement | None] = {c: Judgement.kept(r) for c, r in entry.kept.items()}
    judgements.update({b.clause: Judgement(float(b.ratio or 0.0), b.evidence, b.message) for b in entry.broken})
    judgements.update(dict.fromkeys(entry.declined))
    known = {b.clause: b.known for b in entry.broken if b.known is not None}
    return CaseJudgements(cast("Status", entry.status), judgements, entry.declined, known)


@dataclass(frozen=True)
class Earlier:
    """What an interrupted run had of a target: how it opened, its judged cases by their number, its findings by clause."""

    target: TargetRecord | None = None
    judged: Mapping[int, JudgedCase] = field(default_factory=dict)
    findings: Mapping[str, Finding] = field(default_factory=dict)


def earlier_of(run: Run, entries: Sequence[AnyEntry], target: Target) -> Earlier:
    """What a run directory has of a target."""
    place = target.entry.name, target.device
    opened = next((t for t in run.targets if (t.backend, t.device) == place), None)
    judged = {e.order: e for e in entries if isinstance(e, JudgedCase) and (e.backend, e.device) == place}
    return Earlier(opened, judged, {f.clause: f for f in run.findings if (f.backend, f.device) == place})
