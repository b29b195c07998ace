"""The page's strips: one SVG per cell on its workload's scale, a lane for each process. Text in, markup out; no I/O.

A strip holds no text, so that it may be stretched to any width; names and numbers stand in the table around it.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from markupsafe import Markup

from bnspec.reports.plots.axes import Axis
from bnspec.reports.plots.palette import Style
from bnspec.reports.run.records import Timing
from bnspec.reports.summary.cells import Cell
from bnspec.reports.summary.counts import time_text

#: A strip's inner width; its height is that of its lanes, and at least ``HEIGHT``.
WIDTH, HEIGHT = 1000, 24
#: The height of a lane where there are few processes, of all lanes together at most, and of one at least.
LANE, LANES, THIN = 9.0, 60.0, 3.0

#: Beyond this ratio of slowest to fastest median a linear scale hides the fast ones: the scale is then logarithmic.
SPAN = 30

#: On a linear scale, a sample further than this many interquartile ranges beyond its upper quartile does not stretch the scale; it is counted.
FENCE = 3.0

#: Room beyond the last value of a scale, and what it counts.
MARGIN, LABEL = 1.04, "time"


@dataclasses.dataclass(frozen=True)
class Spread:
    """Quartiles of samples, in nanoseconds."""

    lower: float
    median: float
    upper: float


def spread(samples_ns: Sequence[int]) -> Spread | None:
    """The quartiles, None of nothing."""
    if not samples_ns:
        return None
    if len(samples_ns) == 1:
        return Spread(samples_ns[0], samples_ns[0], samples_ns[0])
    return Spread(*statistics.quantiles(samples_ns, n=4, method="inclusive"))


def scale(cells: Sequence[Cell]) -> Axis | None:
    """The scale on which all the rows fit, None where none was timed."""
    timed = [c for c in cells if c.samples_ns]
    spreads = [s for c in timed if (s := spread(c.samples_ns))]
    if not spreads:
        return None
    fast = min(max(s.lower, 1.0) for s in spreads)
    far = max(s.upper + FENCE * (s.upper - s.lower) for s in spreads)
    longest = max(max(c.samples_ns) for c in timed)
    medians = [max(m, 1.0) for c in timed for m in c.medians_ns.values()]
    if max(medians) > SPAN * min(medians):
        return Axis(LABEL, time_text, fast / 2, longest * MARGIN)
    return Axis(LABEL, time_text, 0.0, max(min(far, longest), fast, *medians) * MARGIN, logarithmic=False)


def beyond(cell: Cell, on: Axis) -> int:
    """How many samples lie off the scale."""
    return sum(s > on.high for s in cell.samples_ns)


def strip(cell: Cell, on: Axis, style: Style) -> Markup:
    """One row: a bar (a dot on a logarithmic scale) for the median over the processes; in a lane for each process a band
    for the quartiles, a tick for every sample and a heavier one for the median. Its colour is that of the backend."""
    timed, median = cell.timed, cell.median_ns
    if not timed or median is None:
        return Markup("")
    tall = max(min(LANE, LANES / len(timed)), THIN)
    height = max(HEIGHT, tall * len(timed))
    tall = height / len(timed) if len(timed) < 3 else tall
    at = _place(median, on)
    grid = "".join(f"M{_place(t, on)} 0V{height:g}" for t in on.ticks())
    lanes = "".join(_lane(t, on, tall * i, tall) for i, t in enumerate(timed))
    count = len(cell.samples_ns)
    words = f"median over {_processes(len(timed))} {time_text(median)}; {count} samples between "
    words += f"{time_text(min(cell.samples_ns))} and {time_text(max(cell.samples_ns))}"
    verified = "verified" if cell.verdict == "conforms" else "unverified"
    bar = (
        f'<path class="dot" d="M{at} {height / 2:g}h0"/>'
        if on.logarithmic
        else f'<rect class="bar" x="0" y="1" width="{at}" height="{height - 2:g}"/>'
    )
    far = f'<path class="beyond" d="M{WIDTH - 9} {height / 2 - 6:g}l8 6l-8 6"/>' if beyond(cell, on) else ""
    return Markup(
        f'<svg class="strip {verified} {style.classes}" viewBox="0 0 {WIDTH} {height:g}" style="height:{height:g}px" '
        f'preserveAspectRatio="none" role="img" aria-label="{words}"><path class="grid" d="{grid}"/>{bar}{lanes}{far}</svg>'
    )


def ruler(on: Axis) -> Markup:
    """The scale's ticks with their times."""
    labels = []
    for ns in on.ticks():
        share = on.share(ns)
        anchor = "start" if share < 0.04 else "end" if share > 0.96 else "middle"
        labels.append(f'<text x="{100 * share:.1f}%" y="12" text-anchor="{anchor}">{on.text(ns) if ns else "0"}</text>')
    return Markup(f'<svg class="ruler" aria-hidden="true">{"".join(labels)}</svg>')


def _lane(timing: Timing, on: Axis, top: float, tall: float) -> str:
    """The samples of one process."""
    quartiles = spread(timing.samples_ns)
    if quartiles is None:
        return ""
    first, inner = top + 0.1 * tall, 0.8 * tall
    low, high = _place(quartiles.lower, on), _place(quartiles.upper, on)
    places = sorted({round(WIDTH * on.share(s)) for s in timing.samples_ns if s <= on.high})
    ticks = "".join(f"M{x} {top + 0.25 * tall:.4g}v{tall / 2:.3g}" for x in places)
    words = f"process {timing.process}: median {time_text(quartiles.median)} of {len(timing.samples_ns)} samples, "
    words += f"half between {time_text(quartiles.lower)} and {time_text(quartiles.upper)}"
    return (
        f'<g><title>{words}</title><rect class="band" x="{low}" y="{first:.4g}" width="{max(high - low, 0.5):.1f}" '
        f'height="{inner:.3g}"/><path class="ticks" d="{ticks}"/>'
        f'<path class="median" d="M{_place(quartiles.median, on)} {first:.4g}v{inner:.3g}"/></g>'
    )


def _place(ns: float, on: Axis) -> float:
    return round(WIDTH * on.share(ns), 1)


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
