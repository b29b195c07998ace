"""Accuracy against time: how far from the bound, and how far behind the fastest; who is beaten in both by nobody."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from bnspec.reports.plots.axes import Axis, around
from bnspec.reports.plots.palette import Palette, legend, line_key
from bnspec.reports.plots.picture import Panel, Picture, by_contender, by_pass, drawable, of_contenders, words
from bnspec.reports.plots.plot import Guide, Plot, Point, Series, draw
from bnspec.reports.plots.units import power_text, times_text
from bnspec.reports.run.records import ratio_text, ratio_value
from bnspec.reports.summary.cells import Cell

NAME, TITLE = "pareto", "Accuracy against time"
TEXT = (
    "Large marks: worst error over its bound, against the geometric mean of the time relative to the fastest of each "
    "workload. Small marks: single workloads. On the step line stand those whom nobody beats in both; it counts contenders "
    "that timed every workload of the panel. Better is lower and further left. A ring: beyond the bound. Rows that are "
    "impossible, or that a probe rejects, are left out."
)


def accuracy_against_time(cells: Sequence[Cell], styles: Palette) -> Picture:
    """A panel for each pass that two contenders were timed and judged in."""
    drawn = [c for c in drawable(cells) if not c.impossible and not math.isnan(ratio_value(c.ratio))]
    panels = [
        Panel(name, draw(_plot(name, of, styles)))
        for name, of in by_pass(drawn).items()
        if len({c.contender for c in of}) > 1
    ]
    if not panels:
        return Picture(NAME, TITLE, TEXT, missing="Not drawn: no pass of this run has two contenders timed and judged.")
    front = legend([(line_key("front"), "nobody is both faster and more accurate")])
    return Picture(NAME, TITLE, TEXT, panels, of_contenders((c.contender for c in drawn), styles) + front)


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those points that no other is below and left of, from left to right."""
    found: list[tuple[float, float]] = []
    for point in sorted(points):
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return found


def _plot(name: str, cells: Sequence[Cell], styles: Palette) -> Plot:
    fastest: dict[str, float] = {}
    for c in cells:
        fastest[c.workload] = min(fastest.get(c.workload, math.inf), c.median_ns or math.inf)
    shown = _Ratios([ratio_value(c.ratio) for c in cells])
    series, whole = [], []
    grouped = by_contender(cells)
    for who, of in grouped.items():
        singles = [
            Point((c.median_ns or 0.0) / fastest[c.workload], shown.clip(ratio_value(c.ratio)), words(c)) for c in of
        ]
        mean = statistics.geometric_mean([p.x for p in singles])
        worst = max((c.ratio for c in of), key=ratio_value)
        height = shown.clip(ratio_value(worst))
        said = f"{who}: {times_text(mean)} the time of the fastest, worst error/bound {ratio_text(worst)}"
        said += f", over {len(of)} of {len(fastest)} workloads"
        if len(of) == len(fastest):
            whole.append((mean, height))
        series.append(Series(who, styles[who], singles, kind="faint"))
        series.append(Series(who, styles[who], [Point(mean, height, said, ratio_value(worst) > 1)], kind="large"))
    series.sort(key=lambda s: s.kind == "large")  # over the small ones
    x = around([p.x for s in series for p in s.points], "time relative to the fastest", times_text)
    guides = [Guide("nobody is both faster and more accurate", "front", front(whole), stepped=True)]
    levels = [(1.0, "error = bound")]
    return Plot(f"{TITLE}: {name}, logarithmic axes", x, shown.axis, series, guides, levels)


class _Ratios:
    """The axis of the ratios: 0 stands at its lower end and infinity at its upper, because a logarithm has neither."""

    def __init__(self, ratios: Sequence[float]) -> None:
        finite = [r for r in ratios if r > 0 and math.isfinite(r)] or [1.0]
        ends = [min(finite) / 3] * (0.0 in ratios) + [max(*finite, 1.0) * 3] * (math.inf in ratios)
        self.axis: Axis = around([*finite, 2.0, *ends], "worst error / bound", power_text)

    def clip(self, ratio: float) -> float:
        """The ratio, moved onto the axis."""
        return min(max(ratio, self.axis.low), self.axis.high)
