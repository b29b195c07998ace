"""The oracle's answer: an exact value, and bounds on the error of a correct implementation."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from bnspec.arithmetic.quad import Quad, double
from bnspec.model.vocabulary import Tier

TIERS: tuple[Tier, ...] = ("lenient", "permissive", "good")


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """One output: its exact value and, per tier, the bound of each element. NaN marks values that are not judged.

    Attributes:
        value: quad; rounded: the same, rounded to float64.
        bounds: float64 arrays of the value's shape.
    """

    value: Quad
    bounds: Mapping[Tier, np.ndarray]

    @functools.cached_property
    def rounded(self) -> np.ndarray:
        """The exact value, rounded to float64."""
        return double(self.value)
