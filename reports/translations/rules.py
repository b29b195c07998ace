"""The rules by which a layer of one backend becomes one of another, without the numbers of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnspec.model.conventions import Conventions
from bnspec.translation.parts import LayerValues, Part
from bnspec.translation.translate import translate


@dataclass(frozen=True)
class Rule:
    """How one part is translated."""

    name: str
    how: str
    formula: str


@dataclass(frozen=True)
class Rules:
    """The rules of a pair: of both purposes, of inference and of training alone, and what must hold in training."""

    shared: tuple[Rule, ...]
    inference: tuple[Rule, ...]
    training: tuple[Rule, ...]
    needs: tuple[str, ...]


def rules_of(source: Mapping[str, Any], target: Mapping[str, Any]) -> Rules:
    """The rules of a pair of conventions, for a layer with numbers that every dtype holds exactly."""
    ends = Conventions.from_json(source), Conventions.from_json(target)
    dtype = "float32" if "float32" in ends[0].dtypes else ends[0].dtypes[0]
    rank = 4 if 4 in ends[0].ranks else min(ends[0].ranks)
    ones = np.ones(2, dtype)
    layer = LayerValues(
        0.25, 0.5, ones, ones, ones, ones, dtype, rank, 1 if ends[0].channel_axes == "first" else rank - 1, steps=0
    )
    found = translate(*ends, layer)
    inference, training = (_rules(route.parts) for route in (found.inference, found.training))
    shared = tuple(r for r in inference if r in training)
    return Rules(
        shared,
        tuple(r for r in inference if r not in shared),
        tuple(r for r in training if r not in shared),
        found.training.needs,
    )


def _rules(parts: Sequence[Part]) -> tuple[Rule, ...]:
    # of what is copied the formula is the layer's number, where it has one
    formulas = ((p, p.name if p.how == "copied" else p.formula) for p in parts)
    return tuple(Rule(p.name, p.how, "; ".join(t for t in (formula, p.reason) if t)) for p, formula in formulas)
