"""Growth of the cost with the count, the channels, the size: workloads that are points of one series, with the exponent."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from bnspec.reports.plots.axes import around
from bnspec.reports.plots.palette import Palette
from bnspec.reports.plots.picture import Panel, Picture, by_contender, drawable, of_contenders, suspicious, words
from bnspec.reports.plots.plot import Plot, Point, Series, draw
from bnspec.reports.plots.sizes import elements
from bnspec.reports.plots.units import count_text
from bnspec.reports.summary.cells import Cell
from bnspec.reports.summary.counts import time_text

NAME, TITLE = "growth", "Growth of the cost"
TEXT = (
    "Median time of a call along a series of workloads in which one extent grows, logarithmic axes. The exponent p is of the "
    "power law n^p through all marks, and after it that of the last step alone: constant costs weigh on the first, not on "
    "the last."
)
#: Points of a series from which on a line is fitted.
FITTED = 3
#: What grows in the series that have a name of their own; others grow in elements.
_LABELS = {"count": "elements per channel", "channels": "channels"}


def growth(cells: Sequence[Cell], styles: Palette) -> Picture:
    """A panel for each series in each pass that has three points."""
    grouped: dict[tuple[str, str, str], list[Cell]] = {}
    for c in drawable(cells):
        for scan in c.first.scans:
            if extent(c, scan):
                grouped.setdefault((scan, c.first.pass_name, c.first.dtype), []).append(c)
    panels = []
    for (scan, pass_name, dtype), of in grouped.items():
        lines = {
            who: points for who, found in by_contender(of).items() if len(points := _points(found, scan)) >= FITTED
        }
        if lines:
            name = f"{pass_name.replace('_', ' ')}, {dtype}: {_LABELS.get(scan, 'elements of x')}"
            notes = {who: exponents(points) for who, points in lines.items()}
            plot = _plot(f"{name}; {'; '.join(f'{who}{said}' for who, said in notes.items())}", scan, lines, styles)
            panels.append(Panel(name, draw(plot), of_contenders(lines, styles, notes)))
    if not panels:
        lacking = "this run has no series of three workloads in which the count, the channels or the size grows"
        return Picture(NAME, TITLE, TEXT, missing=f"Not drawn: {lacking}.")
    return Picture(NAME, TITLE, TEXT, panels)


def extent(cell: Cell, scan: str) -> int:
    """What grows in a series that the cell is a point of: elements per channel, channels, or elements."""
    t = cell.first
    if scan == "channels":
        return t.shape[t.channel_axis]
    if scan == "count":
        return elements(cell) // max(t.shape[t.channel_axis], 1)
    return elements(cell)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The exponent p of the power law n^p: least squares between the logarithms."""
    xs, ys = ([math.log(v) for v in values] for values in zip(*points, strict=True))
    return statistics.linear_regression(xs, ys).slope


def exponents(points: Sequence[Point]) -> str:
    """The exponents of all points and of the last step, in words."""
    places = [(p.x, p.y) for p in points]
    return f": p = {slope(places):.2f}, last {slope(places[-2:]):.2f}"


def _points(cells: Sequence[Cell], scan: str) -> list[Point]:
    """One for each extent, ascending; of several workloads with the same extent the fastest."""
    found: dict[int, Cell] = {}
    for c in sorted(cells, key=lambda c: -(c.median_ns or 0.0)):
        found[extent(c, scan)] = c
    return [Point(n, c.median_ns or 0.0, words(c), suspicious(c)) for n, c in sorted(found.items())]


def _plot(name: str, scan: str, lines: dict[str, list[Point]], styles: Palette) -> Plot:
    series = [Series(who, styles[who], points, [(p.x, p.y) for p in points]) for who, points in lines.items()]
    x = around((p.x for s in series for p in s.points), _LABELS.get(scan, "elements of x"), count_text)
    y = around((p.y for s in series for p in s.points), "median time of a call", time_text)
    return Plot(f"{TITLE}: {name}", x, y, series)
