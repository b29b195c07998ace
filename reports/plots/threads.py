"""Speed-up against threads: contenders that differ in their number of threads and in nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bnspec.reports.plots.axes import Axis
from bnspec.reports.plots.palette import Palette, legend, line_key
from bnspec.reports.plots.picture import Panel, Picture, by_pass, drawable, of_contenders
from bnspec.reports.plots.plot import Guide, Plot, Point, Series, draw
from bnspec.reports.plots.units import times_text
from bnspec.reports.summary.cells import Cell

NAME, TITLE = "threads", "Speed-up against threads"
TEXT = (
    "Time with the fewest threads over time with more; the geometric mean over the workloads that were timed with every number "
    "of threads. The straight line would be the whole gain."
)


def speed_up(cells: Sequence[Cell], styles: Palette) -> Picture:
    """A panel for each pass that somebody was timed in with two numbers of threads."""
    drawn: set[str] = set()
    panels = []
    for name, of in by_pass(drawable(cells)).items():
        lines = _lines(of)
        if lines:
            drawn.update(lines)
            panels.append(Panel(name, draw(_plot(name, lines, styles))))
    if not panels:
        lacking = "no contender of this run was timed with two numbers of threads"
        return Picture(NAME, TITLE, TEXT, missing=f"Not drawn: {lacking}.")
    whole = legend([(line_key("all"), "the whole gain")])
    return Picture(NAME, TITLE, TEXT, panels, of_contenders(drawn, styles) + whole)


def _threads(cell: Cell) -> int | None:
    """How many threads it had, where its conditions or its framework say so."""
    said = cell.first.conditions.get("threads")
    return said if isinstance(said, int) else cell.first.threads


def _lines(cells: Sequence[Cell]) -> dict[str, list[Point]]:
    """Speed-ups by the contender that stands for its kin: the one with the most threads."""
    kin: dict[tuple[object, ...], dict[int, dict[str, Cell]]] = {}
    for c in cells:
        threads = _threads(c)
        if threads:
            others = sorted((k, v) for k, v in c.first.conditions.items() if k != "threads")
            same = (c.first.backend, c.first.device, *others)
            kin.setdefault(same, {}).setdefault(threads, {})[c.workload] = c
    found = {}
    for by_threads in kin.values():
        shared = set.intersection(*(set(of) for of in by_threads.values()))
        if len(by_threads) > 1 and shared:
            fewest, most = min(by_threads), max(by_threads)
            name = next(iter(by_threads[most].values())).contender
            found[name] = [
                _point(name, n, fewest, [(_ns(by_threads[fewest][w]), _ns(of[w])) for w in sorted(shared)])
                for n, of in sorted(by_threads.items())
            ]
    return found


def _ns(cell: Cell) -> float:
    return cell.median_ns or 0.0


def _point(name: str, threads: int, fewest: int, pairs: Sequence[tuple[float, float]]) -> Point:
    gain = statistics.geometric_mean([few / many for few, many in pairs])
    words = f"{name.partition('[')[0]} with {threads} threads: {times_text(gain)} the speed with {fewest}"
    return Point(threads, gain, f"{words}, over {len(pairs)} workloads")


def _plot(name: str, lines: dict[str, list[Point]], styles: Palette) -> Plot:
    series = [Series(who, styles[who], points, [(p.x, p.y) for p in points]) for who, points in lines.items()]
    points = [p for s in series for p in s.points]
    fewest, most = min(p.x for p in points), max(p.x for p in points)
    x = Axis("threads", lambda v: f"{v:g}", fewest * 0.85, most * 1.15, 2)
    high = max(most / fewest, *(p.y for p in points)) * 1.15
    y = Axis("speed-up", times_text, min(*(p.y for p in points), 1.0) * 0.8, high)
    whole = Guide("the whole gain", "all", [(fewest, 1.0), (most, most / fewest)])
    return Plot(f"{TITLE}: {name}, logarithmic axes", x, y, series, [whole])
