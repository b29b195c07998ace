"""An axis: its range, where a value lies on it, and a few round values to name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

#: How many values an axis names at most, and by which factor its ends lie apart at least.
TICKS, LEAST_SPAN = 6, 3.0


@dataclasses.dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high``, logarithmic or linear.

    Attributes:
        label: what it counts; text: how a value is written.
        base: of the powers that a logarithmic axis names, 10 or 2.
    """

    label: str
    text: Callable[[float], str]
    low: float
    high: float
    base: int = 10
    logarithmic: bool = True

    def share(self, value: float) -> float:
        """Where a value lies, 0 to 1; what lies outside is moved to the end."""
        if self.logarithmic:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.low <= value <= self.high

    def ticks(self) -> list[float]:
        """Round values inside, at most ``TICKS``."""
        if not self.logarithmic:
            step = round_step((self.high - self.low) / (TICKS - 1))
            first = math.ceil(self.low / step - 1e-9)
            return [step * i for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        if self.base == 10:
            for multiples in ((1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7), (1, 2, 5), (1, 3)):
                found = self._powers(1, multiples)
                if len(found) <= TICKS:
                    return found
        step = 1
        while len(found := self._powers(step, (1,))) > TICKS:
            step += 1
        return found

    def _powers(self, step: int, multiples: tuple[float, ...]) -> list[float]:
        """Multiples of every ``step``-th power of the base that lie inside."""
        first = math.floor(math.log(self.low, self.base)) // step * step
        last = math.ceil(math.log(self.high, self.base))
        found = [m * float(self.base) ** e for e in range(first, last + 1, step) for m in multiples]
        return [t for t in found if self.low * (1 - 1e-9) <= t <= self.high * (1 + 1e-9)]


def around(
    values: Iterable[float], label: str, text: Callable[[float], str], base: int = 10, room: float = 0.05
) -> Axis:
    """A logarithmic axis with room around positive values; at least one."""
    listed = [v for v in values if v > 0 and math.isfinite(v)] or [1.0]
    low, high = min(listed), max(listed)
    if high / low < LEAST_SPAN:
        middle = math.sqrt(low * high)
        low, high = middle / math.sqrt(LEAST_SPAN), middle * math.sqrt(LEAST_SPAN)
    margin = (high / low) ** room
    return Axis(label, text, low / margin, high * margin, base)


def round_step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))
