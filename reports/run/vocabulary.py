"""The closed vocabularies of the records, as types."""

from __future__ import annotations

from typing import Literal

from bnspec.clauses.clause import Level

#: What can be said of a clause on a target. Only "conforms" and "deviates" are judgements; the others say why there is none.
Verdict = Literal[
    "conforms",  # every judged case is within its bound
    "deviates",  # at least one is not
    "crashed",  # the process died in a case
    "timeout",  # the process did not answer in a case
    "declined",  # the backend offers none of the cases that the clause needs
    "not_exercised",  # no case of this run asks the clause
    "unavailable",  # the target could not be opened
]
#: How a target answered when it was opened. Only "ready" can be judged; the others come with a reason.
TargetStatus = Literal["ready", "absent", "unavailable", "malformed", "broken", "crashed", "timeout"]
#: How a case ended that gave no answer.
IncidentStatus = Literal["crashed", "timeout", "error"]
#: What can be said of a timing; "rejected": a probe has shown that the samples are not of the work.
TimingVerdict = Literal["conforms", "deviates", "rejected", "unavailable", "declined", "error", "crashed", "timeout"]
#: What a comparison says of the candidate.
ComparisonVerdict = Literal["FASTER", "SLOWER", "SAME", "AMBIGUOUS"]
#: What moved memory when a roof was measured.
RoofAction = Literal["copy", "read"]
#: Whether a declared convention survives the experiments.
Agreement = Literal["agrees", "differs", "undecided", "not observable"]
#: How one part of a layer is handed over to another backend.
How = Literal["copied", "computed", "rounded", "impossible"]
#: What a translated layer is for.
Purpose = Literal["inference", "training"]
#: What grows along a stability sweep.
Sweep = Literal["kappa", "count"]
#: How a point of a stability sweep ended; "unreachable": data of this dtype cannot have the kappa that was asked.
PointStatus = Literal["ok", "declined", "error", "crashed", "timeout", "unreachable"]
#: Whether an exponent was fitted, or why there is none.
GrowthKind = Literal["fitted", "flat", "few"]

__all__ = [
    "Agreement",
    "ComparisonVerdict",
    "GrowthKind",
    "How",
    "IncidentStatus",
    "Level",
    "PointStatus",
    "Purpose",
    "RoofAction",
    "Sweep",
    "TargetStatus",
    "TimingVerdict",
    "Verdict",
]
