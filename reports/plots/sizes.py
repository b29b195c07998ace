"""Time against size: a line for each contender, a panel for each pass."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from bnspec.reports.plots.axes import around
from bnspec.reports.plots.palette import Palette
from bnspec.reports.plots.picture import (
    Panel,
    Picture,
    by_contender,
    by_pass,
    drawable,
    of_contenders,
    suspicious,
    words,
)
from bnspec.reports.plots.plot import Plot, Point, Series, draw
from bnspec.reports.plots.units import count_text
from bnspec.reports.summary.cells import Cell
from bnspec.reports.summary.counts import time_text

NAME, TITLE = "sizes", "Time against size"


def elements(cell: Cell) -> int:
    """How many elements x has."""
    return math.prod(cell.first.shape)


def time_against_size(cells: Sequence[Cell], styles: Palette) -> Picture:
    """Every workload is a mark; the line goes through the median of each size of the commonest dtype with ordinary values."""
    drawn = [c for c in drawable(cells) if elements(c)]
    dtypes = Counter(c.first.dtype for c in drawn)
    common = dtypes.most_common(1)[0][0] if dtypes else ""
    text = "Median time of a call against the elements of x, logarithmic axes; every workload is a mark."
    if len(dtypes) > 1:
        text += f" The lines go through {common}; other dtypes are marks beside them."
    panels = [
        Panel(name, draw(_plot(name, of, styles, common)))
        for name, of in by_pass(drawn).items()
        if len({elements(c) for c in of}) > 1
    ]
    if not panels:
        return Picture(NAME, TITLE, text, missing="Not drawn: this run has timed no pass on two sizes.")
    return Picture(NAME, TITLE, text, panels, of_contenders((c.contender for c in drawn), styles))


def _plot(name: str, cells: Sequence[Cell], styles: Palette, common: str) -> Plot:
    series = []
    for who, of in by_contender(cells).items():
        through: dict[int, list[float]] = {}
        for cell in of:
            if cell.first.dtype == common and cell.first.regime == "ordinary":
                through.setdefault(elements(cell), []).append(cell.median_ns or 0.0)
        line = [(float(size), statistics.median(times)) for size, times in sorted(through.items())]
        points = [Point(elements(c), c.median_ns or 0.0, words(c), suspicious(c)) for c in of]
        series.append(Series(who, styles[who], points, line if len(line) > 1 else None))
    points = [p for s in series for p in s.points]
    x = around((p.x for p in points), "elements of x", count_text)
    y = around((p.y for p in points), "median time of a call", time_text)
    return Plot(f"{TITLE}: {name}, logarithmic axes", x, y, series)
