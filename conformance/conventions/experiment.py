"""The base class of experiments: each decides fields of the conventions by running cases and comparing with bounds alone."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

from bnspec.conformance.conventions.laboratory import DECAY_WEIGHS, Lab
from bnspec.conformance.conventions.outcome import Outcome
from bnspec.model.conventions import CHOICES, CORRECTIONS


class Experiment(abc.ABC):
    """One experiment.

    The decision rule is always the same: an alternative remains possible if every result is within the specification's
    bound under it. The data separate alternatives by factors, not by roundings.

    Attributes:
        fields: the fields that it decides; question: one sentence.
    """

    fields: ClassVar[tuple[str, ...]]
    question: ClassVar[str]

    @abc.abstractmethod
    def run(self, lab: Lab) -> Sequence[Outcome]:
        """Run the experiment; an outcome for each of its fields."""

    def undecided(self, reason: str) -> list[Outcome]:
        """Outcomes that leave all alternatives of all its fields possible, for this reason."""
        return [Outcome(f, alternatives(f), "", reason) for f in self.fields]


def alternatives(field: str) -> tuple[Any, ...]:
    """The known values of a field with a fixed set of choices."""
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
    """The values of one field among joint alternatives."""
    values = tuple(dict.fromkeys(v[index] for v in left))
    reason = "several explain the observations" if len(values) > 1 else ""
    return Outcome(field, values, evidence, reason)
