"""Roofline: bytes that the pass cannot do without, over the time taken, against the bytes read; and what copying reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bnspec.reports.plots.axes import around
from bnspec.reports.plots.palette import Palette, legend, line_key
from bnspec.reports.plots.picture import Panel, Picture, by_contender, by_pass, of_contenders, words
from bnspec.reports.plots.plot import Guide, Plot, Point, Series, draw
from bnspec.reports.plots.units import bandwidth_text, bytes_text, percent_text
from bnspec.reports.summary.bandwidth import Ceiling, best
from bnspec.reports.summary.cells import Cell

TEXT = (
    "Bytes that the pass must read and write at least, over the median time. The lines are what a copy of as many bytes "
    "reached in the same run. A ring: faster than the memory allows, which is impossible, or a row that a probe rejects."
)


def roofline(cells: Sequence[Cell], styles: Palette, ceiling: Ceiling) -> Picture:
    """A panel for each pass on each device whose roof was measured."""
    measured = {r.device for r in ceiling.roofs if r.action == "copy"}
    placed = [c for c in cells if c.median_ns and c.first.moved_bytes and c.first.moved_bytes[0]]
    drawn = [c for c in placed if c.first.device in measured]
    if not drawn:
        lacking = "no roof was measured in this run" if not measured else "no timing says which bytes it had to move"
        return Picture("roofline", "Roofline", TEXT, missing=f"Not drawn: {lacking}.")
    panels, kinds = [], {}
    for device in sorted({c.first.device for c in drawn}):
        guides = _roofs(device, ceiling)
        kinds.update({g.kind: g.name for g in guides})
        for name, of in by_pass(c for c in drawn if c.first.device == device).items():
            panels.append(Panel(f"{name}, {device}", draw(_plot(f"{name} on {device}", of, styles, guides))))
    lines = legend([(line_key(kind), name) for kind, name in kinds.items()])
    return Picture("roofline", "Roofline", TEXT, panels, of_contenders((c.contender for c in drawn), styles) + lines)


def _plot(name: str, cells: Sequence[Cell], styles: Palette, guides: Sequence[Guide]) -> Plot:
    series = [
        Series(who, styles[who], [_point(c) for c in sorted(of, key=_bytes_read)])
        for who, of in by_contender(cells).items()
    ]
    points = [p for s in series for p in s.points]
    x = around((p.x for p in points), "bytes read by a call", bytes_text, base=2)
    near = [(gx, gy) for g in guides for gx, gy in g.points if x.holds(gx)]
    y = around([*(p.y for p in points), *(gy for _, gy in near)], "bytes moved per second", bandwidth_text)
    inside = [Guide(g.name, g.kind, [(gx, gy) for gx, gy in g.points if x.holds(gx)]) for g in guides]
    return Plot(f"Roofline of {name}: bandwidth against bytes read, logarithmic axes", x, y, series, inside)


def _point(cell: Cell) -> Point:
    speed = 1e9 * sum(cell.first.moved_bytes or ()) / (cell.median_ns or math.inf)
    share = f"; {percent_text(cell.fraction)} of the roof" if cell.fraction is not None else ""
    alert = cell.impossible or cell.verdict == "rejected"
    return Point(_bytes_read(cell), speed, f"{words(cell)}; {bandwidth_text(speed)}{share}", alert)


def _bytes_read(cell: Cell) -> float:
    moved = cell.first.moved_bytes
    return float(moved[0]) if moved else 0.0


def _roofs(device: str, ceiling: Ceiling) -> list[Guide]:
    """The copy roofs of one thread and of the most, finely enough that a line between sizes is seen inside the frame."""
    copies = [r for r in ceiling.roofs if r.device == device and r.action == "copy"]
    most = max(r.threads for r in copies)
    found = []
    for threads in sorted({1, most} & {r.threads for r in copies}):
        curve = best([r for r in copies if r.threads == threads])
        first, last = curve.sizes_bytes[0], curve.sizes_bytes[-1]
        steps = 80
        sizes = [first * (last / first) ** (i / steps) for i in range(steps + 1)] if last > first else [float(first)]
        name = "copy by one thread" if threads == 1 else "copy by all threads"
        found.append(Guide(name, "one" if threads == 1 else "all", [(s, curve.at(s)) for s in sizes]))
    return found
