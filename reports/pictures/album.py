"""All pictures of a run, in the order in which they stand on the page."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.reports.cells import Cell
from bnspec.reports.pictures.growth import growth
from bnspec.reports.pictures.palette import Palette
from bnspec.reports.pictures.pareto import accuracy_against_time
from bnspec.reports.pictures.picture import Picture
from bnspec.reports.pictures.roofline import roofline
from bnspec.reports.pictures.sizes import time_against_size
from bnspec.reports.pictures.threads import speed_up
from bnspec.reports.roofs import Ceiling


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
