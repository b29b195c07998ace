"""The distribution of one workload's raw samples: for each process the share of samples up to each time (ECDF)."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.reports.plots.axes import Axis, around
from bnspec.reports.plots.palette import Palette
from bnspec.reports.plots.picture import Panel, of_contenders
from bnspec.reports.plots.plot import Plot, Series, draw
from bnspec.reports.plots.units import percent_text
from bnspec.reports.summary.cells import Cell
from bnspec.reports.summary.counts import time_text

#: Corners of a panel at most, and of one line at least: a page of many processes stays small.
CORNERS, FEWEST = 3000, 8


def distribution(title: str, cells: Sequence[Cell], styles: Palette) -> Panel | None:
    """The panel of a workload; None where nothing was timed."""
    timed = [(c, t) for c in cells for t in c.timed]
    if not timed:
        return None
    corners = max(CORNERS // len(timed), FEWEST)
    series = [
        Series(
            f"{c.contender}, process {t.process}: median {time_text(t.median_ns)} of {len(t.samples_ns)} samples",
            styles[c.contender],
            (),
            ecdf(t.samples_ns, corners),
            "bare",
        )
        for c, t in timed
    ]
    x = around((x for s in series for x, _ in s.joined or ()), "time of a call", time_text)
    y = Axis("samples up to here", lambda v: percent_text(v) if v else "0 %", 0.0, 1.0, logarithmic=False)
    plot = Plot(f"Distribution of the samples by process, logarithmic time: {title}", x, y, series)
    return Panel("Every line is a process", draw(plot), of_contenders((c.contender for c, _ in timed), styles))


def ecdf(samples: Sequence[int], corners: int) -> list[tuple[float, float]]:
    """The corners of the steps, from share 0 to 1; of many samples evenly chosen ones, the least and the greatest among them."""
    ordered = sorted(max(s, 1) for s in samples)
    count = len(ordered)
    steps = min(count, corners)
    chosen = sorted({round(i * (count - 1) / max(steps - 1, 1)) for i in range(steps)})
    return [(float(ordered[0]), 0.0)] + [(float(ordered[i]), (i + 1) / count) for i in chosen]
