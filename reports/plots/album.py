"""All pictures of a run, in the order in which they stand on the page."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.reports.plots.growth import growth
from bnspec.reports.plots.palette import Palette
from bnspec.reports.plots.pareto import accuracy_against_time
from bnspec.reports.plots.picture import Picture
from bnspec.reports.plots.roofline import roofline
from bnspec.reports.plots.sizes import time_against_size
from bnspec.reports.plots.threads import speed_up
from bnspec.reports.summary.bandwidth import Ceiling
from bnspec.reports.summary.cells import Cell


def album(cells: Sequence[Cell], styles: Palette, ceiling: Ceiling) -> list[Picture]:
    """The pictures; those for which the run has no data say what is missing. None where nothing was timed at all."""
    if not any(c.median_ns for c in cells):
        return []
    return [
        roofline(cells, styles, ceiling),
        time_against_size(cells, styles),
        accuracy_against_time(cells, styles),
        growth(cells, styles),
        speed_up(cells, styles),
    ]
