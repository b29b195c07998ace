"""A picture of the page: a title, panels with their legends, or the one line that says what is missing for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from bnspec.reports.plots.palette import Palette, key, legend
from bnspec.reports.run.records import ratio_text
from bnspec.reports.summary.cells import Cell, title
from bnspec.reports.summary.counts import MARKS, time_text

NOTHING = Markup("")


@dataclasses.dataclass(frozen=True)
class Panel:
    """One plot with its title and, where it has one of its own, its legend."""

    title: str
    plot: Markup
    legend: Markup = NOTHING


@dataclasses.dataclass(frozen=True)
class Picture:
    """Panels that belong together.

    Attributes:
        name: a word, its place on the page; title, text: what is seen.
        panels: the plots; legend: of all of them.
        missing: what the run lacks for it, in one line; empty where there are panels.
    """

    name: str
    title: str
    text: str
    panels: Sequence[Panel] = ()
    legend: Markup = NOTHING
    missing: str = ""


def drawable(cells: Iterable[Cell]) -> list[Cell]:
    """Cells whose samples are of the work: timed, and no probe objects."""
    return [c for c in cells if c.median_ns and c.verdict != "rejected"]


def suspicious(cell: Cell) -> bool:
    """Whether a ring goes around its mark: outputs that do not conform, or faster than the memory allows."""
    return cell.verdict != "conforms" or cell.impossible


def words(cell: Cell) -> str:
    """What a mark says when it is pointed at."""
    said = f"{cell.contender}: {time_text(cell.median_ns)}, {title(cell.first)}; outputs {MARKS[cell.verdict].word}"
    ratio = ratio_text(cell.ratio)
    return said + (f", error/bound {ratio}" if ratio else "") + ("; faster than the roof" if cell.impossible else "")


def of_contenders(contenders: Iterable[str], styles: Palette, notes: Mapping[str, str] | None = None) -> Markup:
    """The legend of these contenders, each once, in the palette's order; notes stand after the names."""
    drawn, notes = set(contenders), notes or {}
    return legend([(key(styles[name]), name + notes.get(name, "")) for name in styles if name in drawn])


def by_pass(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Cells by the name of the pass, in words."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.first.pass_name.replace("_", " "), []).append(cell)
    return found


def by_contender(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Cells by contender."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.contender, []).append(cell)
    return found
