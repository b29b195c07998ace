"""The oracle's answer: an exact value, and bounds on the error of a correct implementation."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from bnspec.arithmetic.quad import Quad, double
from bnspec.model.vocabulary import Tier

TIERS: tuple[Tier, ...] = ("lenient", "permissive", "good")
T = TypeVar("T")


class PerTier(Mapping[Tier, T]):
    """What belongs to each tier, computed when it is first asked for: most results are judged by one tier.

    What computes it must not hold the oracle, which may be gone by then, nor what holds this object, which would keep both alive.
    """

    def __init__(self, compute: Callable[[Tier], T]) -> None:
        self._compute, self._known = compute, dict[Tier, T]()

    def __getitem__(self, tier: Tier) -> T:
        """The tier's."""
        if tier not in self._known:
            if tier not in TIERS:
                raise KeyError(tier)
            with np.errstate(all="ignore"):
                self._known[tier] = self._compute(tier)
        return self._known[tier]

    def __iter__(self) -> Iterator[Tier]:
        """Every tier."""
        return iter(TIERS)

    def __len__(self) -> int:
        """How many tiers there are."""
        return len(TIERS)


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
