"""The page's pictures of timings: one SVG strip per row on a common scale. Text in, markup out; no I/O, no library.

A strip holds no text, so that it may be stretched to any width; names and numbers stand in the table around it.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

from markupsafe import Markup

from bnspec.reports.records import Timing
from bnspec.reports.verdicts import time_text

#: A strip's inner coordinates.
WIDTH, HEIGHT = 1000, 24

#: Beyond this ratio of slowest to fastest median a linear scale hides the fast ones: the scale is then logarithmic.
SPAN = 30

#: On a linear scale, a sample further than this many interquartile ranges beyond its upper quartile does not stretch the scale; it is counted.
FENCE = 3.0

#: Room beyond the last value of a scale.
MARGIN = 1.04


@dataclasses.dataclass(frozen=True)
class Spread:
    """Quartiles of a row's samples, in nanoseconds."""

    lower: float
    median: float
    upper: float


@dataclasses.dataclass(frozen=True)
class Scale:
    """The common scale of a workload: from ``low`` to ``high`` nanoseconds, linear from zero or logarithmic."""

    low: float
    high: float
    logarithmic: bool

    def share(self, ns: float) -> float:
        """Where a time lies, 0 to 1; what lies outside is moved to the edge."""
        if self.logarithmic:
            position = math.log(max(ns, self.low) / self.low) / math.log(self.high / self.low)
        else:
            position = (ns - self.low) / (self.high - self.low)
        return min(max(position, 0.0), 1.0)

    def ticks(self) -> list[float]:
        """A few round times on the scale."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0**e for e in range(first, last + 1)]
        step = _round_step(self.high / 4)
        return [step * i for i in range(int(self.high / step) + 1)]


def spread(samples_ns: Sequence[int]) -> Spread | None:
    """The quartiles, None of nothing."""
    if not samples_ns:
        return None
    if len(samples_ns) == 1:
        return Spread(samples_ns[0], samples_ns[0], samples_ns[0])
    return Spread(*statistics.quantiles(samples_ns, n=4, method="inclusive"))


def scale(timings: Sequence[Timing]) -> Scale | None:
    """The scale on which all the rows fit, None where none was timed."""
    spreads = [s for t in timings if (s := spread(t.samples_ns))]
    if not spreads:
        return None
    fast = min(max(s.lower, 1.0) for s in spreads)
    far = max(s.upper + FENCE * (s.upper - s.lower) for s in spreads)
    longest = max(max(t.samples_ns) for t in timings if t.samples_ns)
    medians = [max(s.median, 1.0) for s in spreads]
    if max(medians) > SPAN * min(medians):
        return Scale(fast / 2, longest * MARGIN, True)
    return Scale(0.0, max(min(far, longest), fast) * MARGIN, False)


def beyond(timing: Timing, on: Scale) -> int:
    """How many samples lie off the scale."""
    return sum(s > on.high for s in timing.samples_ns)


def strip(timing: Timing, on: Scale) -> Markup:
    """One row: a bar (a dot on a logarithmic scale) for the median, a band for the quartiles, a tick for every sample."""
    quartiles = spread(timing.samples_ns)
    if quartiles is None:
        return Markup("")
    at = {name: round(WIDTH * on.share(ns), 1) for name, ns in dataclasses.asdict(quartiles).items()}
    places = sorted({round(WIDTH * on.share(s)) for s in timing.samples_ns if s <= on.high})
    ticks = "".join(f"M{x} 5v14" for x in places)
    grid = "".join(f"M{round(WIDTH * on.share(t), 1)} 0v{HEIGHT}" for t in on.ticks())
    off = beyond(timing, on)
    words = f"median {time_text(quartiles.median)}, half of {len(timing.samples_ns)} samples between "
    words += f"{time_text(quartiles.lower)} and {time_text(quartiles.upper)}"
    verified = "verified" if timing.verdict == "conforms" else "unverified"
    bar = (
        f'<path class="dot" d="M{at["median"]} 12h0"/>'
        if on.logarithmic
        else f'<rect class="bar" x="0" y="3" width="{at["median"]}" height="18"/>'
    )
    return Markup(
        f'<svg class="strip {verified}" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{words}">'
        f'<path class="grid" d="{grid}"/>{bar}'
        f'<rect class="band" x="{at["lower"]}" y="3" width="{max(at["upper"] - at["lower"], 0.5):.1f}" height="18"/>'
        f'<path class="ticks" d="{ticks}"/><path class="median" d="M{at["median"]} 1v22"/>'
        + (f'<path class="beyond" d="M{WIDTH - 9} 6l8 6l-8 6"/>' if off else "")
        + "</svg>"
    )


def ruler(on: Scale) -> Markup:
    """The scale's ticks with their times."""
    labels = []
    for ns in on.ticks():
        share = on.share(ns)
        anchor = "start" if share < 0.04 else "end" if share > 0.96 else "middle"
        labels.append(
            f'<text x="{100 * share:.1f}%" y="12" text-anchor="{anchor}">{time_text(ns) if ns else "0"}</text>'
        )
    return Markup(f'<svg class="ruler" aria-hidden="true">{"".join(labels)}</svg>')


def _round_step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough)
