"""How many rounds: until the confidence intervals are narrow, whatever they contain."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from bnspec.errors import UsageError
from bnspec.reports.statistics.paired import Paired, t_quantile


@dataclasses.dataclass(frozen=True)
class Precision:
    """When a run has enough rounds.

    Stopping at the first significant difference finds one sooner or later where there is none. This rule does not use the
    ratios. The spread that it uses still affects the verdict: rounds that happen to be quiet end the run, and make its
    interval too narrow. A rule on the spread of all rounds has up to 7.8 % false alarms instead of 5 % (one cell, at least
    5 rounds, normal errors). So the spread is estimated from pilot rounds, every third round, and the verdict does not
    rely on them alone: see ``paired(adaptive=True)``.

    Attributes:
        half_width: relative half-width of the confidence interval that every cell must reach: 0.02 for 2 %.
        min_rounds, max_rounds: bounds of the number of rounds, both included.

    Raises: UsageError: the width is not positive, or not 4 <= min_rounds <= max_rounds: four rounds have two pilot rounds.
    Source: a fixed width by stopping: Chow and Robbins 1965; a pilot sample for the spread: Stein 1945.
    """

    half_width: float
    min_rounds: int
    max_rounds: int

    def __post_init__(self) -> None:
        if not (self.half_width > 0.0 and 4 <= self.min_rounds <= self.max_rounds):
            raise UsageError(
                f"{self} cannot stop a run.",
                "the width is positive, and 4 <= min_rounds <= max_rounds: the spread needs two pilot rounds.",
                "give bounds in that order.",
            )

    def enough(self, cells: Iterable[Paired]) -> bool:
        """Whether the run may stop now.

        Every cell has min_rounds, and each either has max_rounds or

            t(n - 1; 1 - LEVEL / 2) pilot_sd_log / sqrt(n) <= log(1 + half_width)

        The clock's resolution is left out: more rounds do not improve it.

        Args:
            cells: all cells of the run, after the same round; a round in which a process failed counts for the others.
        """
        return all(self._precise(cell) for cell in cells)

    def _precise(self, cell: Paired) -> bool:
        if cell.pairs < self.min_rounds or cell.pairs >= self.max_rounds:
            return cell.pairs >= self.max_rounds
        width = t_quantile(cell.pairs - 1) * cell.pilot_sd_log / math.sqrt(cell.pairs)
        return width <= math.log1p(self.half_width)
