"""Closed vocabularies of a run's records: the words that verdicts and statuses may be, as types.

``schema.json`` lists the same words; a test holds the two together.
"""

from __future__ import annotations

from typing import Literal, get_args

from bnspec.clauses.clause import Level
from bnspec.model.vocabulary import MemoryAction, Probe, TargetStatus

#: From the strongest demand to what is only recorded.
LEVELS: tuple[Level, ...] = get_args(Level)

#: What can be said of a clause on a target. Only "conforms" and "deviates" are judgements; the others say why there is none.
#: conforms: every judged case is within its bound. deviates: at least one is not. crashed: the process died in a case.
#: timeout: the process did not answer in a case. declined: the backend offers none of the cases that the clause needs.
#: not_exercised: no case of this run asks the clause. unavailable: the target could not be opened.
FindingVerdict = Literal["conforms", "deviates", "crashed", "timeout", "declined", "not_exercised", "unavailable"]
FINDING_VERDICTS: tuple[FindingVerdict, ...] = get_args(FindingVerdict)
#: Verdicts that say that a clause is not kept.
FAILING: tuple[FindingVerdict, ...] = ("deviates", "crashed", "timeout")

#: What can be said of one timed cell. rejected: a probe has shown that the samples are not of the work.
TimingVerdict = Literal["conforms", "deviates", "rejected", "unavailable", "declined", "error", "crashed", "timeout"]
TIMING_VERDICTS: tuple[TimingVerdict, ...] = get_args(TimingVerdict)

#: What can be said where both are shown.
Verdict = FindingVerdict | TimingVerdict

#: What can be said of a candidate beside a baseline.
ComparisonVerdict = Literal["FASTER", "SLOWER", "SAME", "AMBIGUOUS"]
COMPARISON_VERDICTS: tuple[ComparisonVerdict, ...] = get_args(ComparisonVerdict)

#: How a case ended in no answer.
IncidentStatus = Literal["crashed", "timeout", "error"]
INCIDENT_STATUSES: tuple[IncidentStatus, ...] = get_args(IncidentStatus)

#: Whether a declared convention survives the experiments.
Agreement = Literal["agrees", "differs", "undecided", "not observable"]
#: How one part of a layer is handed over to another backend.
How = Literal["copied", "computed", "rounded", "impossible"]
#: What a translated layer is for.
Purpose = Literal["inference", "training"]
#: What grows along a stability sweep.
Sweep = Literal["kappa", "count"]
#: Whose time a sample is; "": not recorded, by runs from before it was.
Clock = Literal["", "host"]
#: How a point of a stability sweep ended; "unreachable": data of this dtype cannot have the kappa that was asked.
PointStatus = Literal["ok", "declined", "error", "crashed", "timeout", "unreachable"]
#: Whether an exponent was fitted, or why there is none.
GrowthKind = Literal["fitted", "flat", "few"]

__all__ = [
    "COMPARISON_VERDICTS",
    "FINDING_VERDICTS",
    "LEVELS",
    "INCIDENT_STATUSES",
    "TIMING_VERDICTS",
    "Agreement",
    "Clock",
    "ComparisonVerdict",
    "FAILING",
    "FindingVerdict",
    "GrowthKind",
    "How",
    "IncidentStatus",
    "Level",
    "MemoryAction",
    "PointStatus",
    "Probe",
    "Purpose",
    "Sweep",
    "TargetStatus",
    "TimingVerdict",
    "Verdict",
]
