"""What the page says of timings: for each workload its contenders, what they are compared with, and their samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.reports.page.parts import slug
from bnspec.reports.plots import strips as charts
from bnspec.reports.plots.axes import Axis
from bnspec.reports.plots.distribution import distribution
from bnspec.reports.plots.palette import Palette
from bnspec.reports.plots.picture import Panel
from bnspec.reports.run.records import Comparison
from bnspec.reports.summary.cells import Cell, by_workload


@dataclasses.dataclass(frozen=True)
class Row:
    """A contender on the workload: its cell, and the comparisons in which it is the candidate.

    Attributes:
        cell, comparisons: what is shown.
        baseline: whether others are compared with it.
    """

    cell: Cell
    comparisons: Sequence[Comparison]
    baseline: bool

    @property
    def probes(self) -> str:
        """How many probes raise no objection; empty where none was made."""
        made = self.cell.probes
        return f"{sum(not objection for objection in made.values())} of {len(made)}" if made else ""

    @property
    def objections(self) -> list[tuple[str, str]]:
        """Probes that object, with what they say."""
        return [(name, objection) for name, objection in self.cell.probes.items() if objection]


@dataclasses.dataclass(frozen=True)
class Workload:
    """Cells of one pass on one shape, drawn on one scale, with the distribution of their samples."""

    title: str
    anchor: str
    name: str
    rows: Sequence[Row]
    scale: Axis | None
    distribution: Panel | None


def workloads(cells: Sequence[Cell], comparisons: Sequence[Comparison], styles: Palette) -> list[Workload]:
    """The workloads, each on a scale of its own."""
    candidates: dict[tuple[str, str], list[Comparison]] = {}
    for c in comparisons:
        candidates.setdefault((c.workload, c.candidate), []).append(c)
    baselines = {(c.workload, c.baseline) for c in comparisons}
    found = []
    for title, listed in by_workload(cells).items():
        rows = [
            Row(c, candidates.get((c.workload, c.contender), ()), (c.workload, c.contender) in baselines)
            for c in listed
        ]
        drawn = distribution(title, listed, styles)
        name = listed[0].first.workload
        found.append(Workload(title, "timing-" + slug(title), name, rows, charts.scale(listed), drawn))
    return found


def undecided(comparison: Comparison) -> str:
    """What a comparison needs to be decided, in words; empty when it is decided."""
    more = comparison.more_processes
    if comparison.verdict != "AMBIGUOUS":
        return ""
    if more is None:
        return "how many more processes would decide is not known"
    return f"{more} more process{'es' * (more != 1)} would decide"
