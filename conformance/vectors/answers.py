"""Judges answers to the test vectors that were computed elsewhere: on a device, in a language, where nothing of this runs.

ANSWERS holds FAMILY.safetensors for each family that was answered, with an array ID/CALL/OUTPUT for each output: "epsilon.tiny/0/y".
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bnspec.conformance.checks import CHECKS
from bnspec.conformance.vectors.reading import read_arrays
from bnspec.conformance.vectors.records import ANYTHING, IS_FINITE, IS_NAN, WITHIN, family_document
from bnspec.conformance.vectors.table import FAMILIES
from bnspec.errors import UsageError
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import Tier

#: The tier that judges each level; what a MAY admits is not judged.
TIER_OF: Mapping[str, Tier] = {"MUST": "lenient", "SHOULD": "permissive"}
#: The clause that defines each output of a mode: it judges those that no clause of the vector speaks of.
DEFINING: Mapping[tuple[str, str], str] = {
    ("training", "y"): "training.output", ("training", "dx"): "gradient.training_dx",
    ("training", "dgamma"): "gradient.training_dgamma", ("training", "dbeta"): "gradient.training_dbeta",
    ("training", "running_mean"): "running.mean", ("training", "running_var"): "running.var",
    ("inference", "y"): "inference.output", ("inference", "dx"): "gradient.inference_dx",
    ("inference", "dgamma"): "gradient.inference_parameters", ("inference", "dbeta"): "gradient.inference_parameters",
    ("inference", "running_mean"): "inference.keeps_state", ("inference", "running_var"): "inference.keeps_state",
    ("fit", "mean"): "input.fit", ("fit", "var"): "input.fit", ("transform", "y"): "input.transform", ("inverse", "x"): "input.inverse",
}  # fmt: skip


@dataclass
class ClauseCount:
    """A clause over all vectors that test it: ``worst`` is the largest error / bound, ``first`` the first vector that breaks it."""

    level: str
    vectors: int = 0
    failures: int = 0
    worst: float = 0.0
    first: str = ""

    def count(self, ratio: float, where: str) -> None:
        """Count one vector."""
        self.vectors += 1
        self.worst = max(self.worst, ratio)
        if ratio > 1.0:
            self.failures += 1
            self.first = self.first or where


@dataclass
class Judged:
    """The verdict on a folder of answers.

    Attributes:
        clauses: by id. correction: of the running variance, as far as it was answered; answered, unanswered: outputs, by number.
        families: of which nothing was answered. unknown: arrays by names that no vector has. mistyped: outputs of another dtype or shape.
    """

    clauses: dict[str, ClauseCount] = field(default_factory=dict)
    correction: int | None = None
    answered: int = 0
    unanswered: int = 0
    families: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    mistyped: dict[str, str] = field(default_factory=dict)

    def broken(self, level: str) -> list[str]:
        """The broken clauses of a level, the largest error first."""
        found = [(c.worst, name) for name, c in self.clauses.items() if c.failures and c.level == level]
        return [name for _, name in sorted(found, reverse=True)]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        clauses = [
            {
                "clause": name,
                "level": c.level,
                "vectors": c.vectors,
                "failures": c.failures,
                "ratio": c.worst if np.isfinite(c.worst) else "inf",
                "first": c.first or None,
            }
            for name, c in sorted(self.clauses.items())
        ]
        counts = {
            "answered": self.answered,
            "unanswered": self.unanswered,
            "families_unanswered": self.families,
            "unknown": self.unknown,
            "mistyped": self.mistyped,
            "running_correction": self.correction,
        }
        return {"grade": self.grade, **counts, "clauses": clauses}

    @property
    def grade(self) -> str:
        """A: all is kept; B: every MUST; F: a MUST is broken."""
        return "F" if self.broken("MUST") else "B" if self.broken("SHOULD") else "A"


def judge_answers(folder: Path) -> Judged:
    """Judge the answers in a folder. Raises UsageError: there are none, or they cannot be read."""
    files = {f: path for f in FAMILIES if (path := folder / f"{f}.safetensors").exists()}
    if not files:
        raise UsageError(
            f"{folder} holds no answers.",
            f"they are in files named {', '.join(f'{f}.safetensors' for f in list(FAMILIES)[:3])}, ...",
            "write them as docs/vectors/README.md says, Answers.",
        )
    answers = {family: read_arrays(path) for family, path in files.items()}
    documents = {family: family_document(family) for family in FAMILIES}
    by_correction = [_judged(documents, answers, correction) for correction in (0, 1)]
    found = min(by_correction, key=lambda j: sum(c.failures for c in j.clauses.values()))
    if not found.answered:
        raise UsageError(
            f"{folder} answers no vector.",
            "no array has a name like epsilon.tiny/0/y.",
            "see docs/vectors/README.md, Answers.",
        )
    return found


def _judged(documents: Mapping[str, Any], answers: Mapping[str, Mapping[str, np.ndarray]], correction: int) -> Judged:
    """The verdict, if the running variance has this correction."""
    found = Judged(families=[family for family in documents if not answers.get(family)])
    for family, (document, arrays) in documents.items():
        given = answers.get(family, {})
        known = {key for vector in document["vectors"] for key in keys_of(vector)}
        found.unknown += [f"{family}.safetensors: {key}" for key in given if key not in known]
        for vector in document["vectors"]:
            clauses = {c["id"]: c["level"] for c in vector["clauses"] if c["level"] in TIER_OF}
            worst: dict[str, float] = {}
            for key, mode, output in _expected(vector, correction):
                if (got := given.get(key)) is None:
                    found.unanswered += 1
                    continue
                found.answered += 1
                if output["output"] == "running_var" and output["correction"] is not None:
                    found.correction = correction
                place = (mode, output["output"])
                asked = [c for c in clauses if speaks(c, *place)] or [DEFINING[place]]
                if said := mistyped(got, output, arrays):
                    found.mistyped[key] = said
                ratios = {tier: ratio_of(got, output, arrays, tier) for tier in TIER_OF.values()}
                for clause in asked:
                    tier = TIER_OF[clauses.get(clause, "MUST")]
                    worst[clause] = max(worst.get(clause, 0.0), ratios[tier])
            for clause, ratio in worst.items():
                counted = found.clauses.setdefault(clause, ClauseCount(clauses.get(clause, "MUST")))
                counted.count(ratio, vector["id"])
    return found


@functools.cache
def speaks(clause: str, mode: str, output: str) -> bool:
    """Whether a clause is about this output of a call in this mode."""
    checks = [c for c in CHECKS if c.clause == clause]
    return any(
        (not c.outputs or output in c.outputs) and any(call.mode in (None, mode) for call in c.calls) for c in checks
    )


def _expected(vector: Mapping[str, Any], correction: int) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(key of the answer, mode of the call, expected output) of all calls of a vector."""
    for i, call in enumerate(vector["calls"]):
        for output in call["expected"]:
            if output["correction"] in (None, correction):
                yield f"{vector['id']}/{i}/{output['output']}", call["mode"], output


def keys_of(vector: Mapping[str, Any]) -> Iterator[str]:
    """The keys of all answers to a vector."""
    for correction in (0, 1):
        yield from (key for key, _, _ in _expected(vector, correction))


def mistyped(got: np.ndarray, output: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """What is wrong with the dtype or the shape of an answer; "" where nothing is."""
    shape = arrays[output["value"]].shape
    if got.dtype.name != output["dtype"]:
        return f"has dtype {got.dtype.name}, expected {output['dtype']}"
    return "" if got.shape == shape else f"has shape {got.shape}, expected {shape}"


def ratio_of(got: np.ndarray, output: Mapping[str, Any], arrays: Mapping[str, np.ndarray], tier: Tier) -> float:
    """The worst error / bound of an answer; infinite where it has another dtype or shape, or what must be NaN or finite is not."""
    value, rest, bound = (arrays[output[n]] for n in ("value", "residual", tier))
    if mistyped(got, output, arrays):
        return np.inf
    codes = np.zeros(value.shape, np.uint8) if output["accept"] is None else arrays[output["accept"]]
    wide = got.astype(np.float64)
    with np.errstate(all="ignore"):
        overflow = (
            np.isinf(wide)
            & (np.sign(wide) == np.sign(value))
            & (np.abs(value) + bound > PRECISIONS[output["dtype"]].largest)
        )
        error = np.abs(wide - value - rest)
        ratio = np.where(error == 0.0, 0.0, np.where(np.isnan(error), np.inf, error / bound))
    ratio = np.where(overflow | np.isinf(bound), 0.0, ratio)
    wrong = np.select(
        [codes == IS_NAN, codes == IS_FINITE, codes == ANYTHING], [~np.isnan(wide), ~np.isfinite(wide), False], False
    )
    found = np.where(codes == WITHIN, ratio, np.where(wrong, np.inf, 0.0))
    return float(found.max(initial=0.0))
