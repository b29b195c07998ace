"""What an experiment is: a question about fields of the conventions, put to a backend by cases and decided by bounds alone."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

from bnspec.conformance.conventions.laboratory import DECAY_WEIGHS, Lab
from bnspec.conformance.conventions.outcome import Outcome
from bnspec.model.conventions import CHOICES, CORRECTIONS


class Experiment(abc.ABC):
    """One question.

    The rule of decision is the same everywhere: an alternative is left standing if every result is within the
    specification's bound under it. Data are chosen so that alternatives lie factors apart, not roundings.

    Attributes:
        fields: the fields that it decides; question: in one sentence.
    """

    fields: ClassVar[tuple[str, ...]]
    question: ClassVar[str]

    @abc.abstractmethod
    def run(self, lab: Lab) -> Sequence[Outcome]:
        """An outcome for each of its fields."""

    def undecided(self, reason: str) -> list[Outcome]:
        """All alternatives of all its fields are left, for this reason."""
        return [Outcome(f, alternatives(f), "", reason) for f in self.fields]


def alternatives(field: str) -> tuple[Any, ...]:
    """The known values of a field that is a choice."""
    if field == DECAY_WEIGHS:
        return ("old", "new")
    if field.endswith("_correction"):
        return CORRECTIONS
    if field in ("affine_optional", "input_normalization"):
        return (True, False)
    if field == "half_parameters":
        return (("float32",), ("input",), ("float32", "input"))
    return CHOICES[field]


def projected(field: str, index: int, left: Sequence[tuple[Any, ...]], evidence: str) -> Outcome:
    """What joint alternatives leave of one of their fields."""
    values = tuple(dict.fromkeys(v[index] for v in left))
    reason = "several explain the observations" if len(values) > 1 else ""
    return Outcome(field, values, evidence, reason)
