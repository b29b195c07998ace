"""A tally as a record of the run directory."""

from __future__ import annotations

import dataclasses
import math

from bnspec.clauses import CLAUSES
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.tally import J, Tally
from bnspec.model.case import Case
from bnspec.reports.run.records import DeclinedCases, Finding
from bnspec.reports.run.vocabulary import FAILING


def finding_of(
    clause: str,
    tally: Tally[J],
    backend: str,
    device: str,
    *,
    case: str | None = None,
    shrunk: str | None = None,
    judgement: Judgement | None = None,
) -> Finding:
    """The finding of a clause on a target.

    Args:
        case, shrunk: paths of the saved cases.
        judgement: of the case that is shown; by default of the worst one.
    """
    worst, failing = tally.worst, tally.verdict in FAILING
    shown = None
    if failing and worst is not None:
        shown = judgement or worst.judgement
    return Finding(
        clause,
        CLAUSES[clause].family,
        CLAUSES[clause].level,
        backend,
        device,
        tally.verdict,
        tally.cases,
        tally.failures,
        tally.declined,
        None if worst is None else json_ratio(worst.judgement.ratio),
        message=shown.message if shown else "",
        evidence=shown.evidence if shown else None,
        case=case,
        shrunk=shrunk,
        known=tuple(sorted(tally.known, key=tally.known.__getitem__))
        if failing and tally.covered == tally.failures
        else (),
        reasons=tuple(DeclinedCases(reason, cases) for reason, cases in sorted(tally.reasons.items())),
    )


def placed(judgement: Judgement, case: Case) -> Judgement:
    """The judgement, whose message says which call of a sequence it is about."""
    if judgement.evidence is None or len(case.steps) == 1:
        return judgement
    k = judgement.evidence.step
    place = f"call {k + 1} of {len(case.steps)}: {case.steps[k].call.name}"
    return dataclasses.replace(judgement, message=f"{place}: {judgement.message}")


def json_ratio(ratio: float) -> float | str:
    """The ratio as records hold it: infinity is the word "inf"."""
    return ratio if math.isfinite(ratio) else "inf"
