"""The page of a stability study: one HTML file that needs nothing else, in print, in light and in dark."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bnspec.reports.plots import curves
from bnspec.reports.plots.curves import Panel


@dataclasses.dataclass(frozen=True)
class Cell:
    """A backend's class, and the kappa at which half of the digits are gone, as words."""

    kind: str
    half: str


@dataclasses.dataclass(frozen=True)
class PageRow:
    """A row of the table: output, backend, class, and the other columns."""

    output: str
    backend: str
    kind: str
    cells: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Section:
    """A form and dtype of x: its charts and its table."""

    form: str
    dtype: str
    panels: Sequence[Panel]
    rows: Sequence[PageRow]

    @property
    def anchor(self) -> str:
        """Its place on the page: ``anchor`` of dtype and form."""
        return f"{self.dtype}-{'-'.join(self.form.replace(',', '').split())}"


@dataclasses.dataclass(frozen=True)
class StabilityPage:
    """What stands on the page.

    Attributes:
        head: how it was made; backends: in the order of their colours; versions: what each is.
        matrix: rows (dtype, form, output, a cell for each backend).
        sections: charts and tables; missing: (backend, dtype, form, status, message).
        reach: (dtype, largest kappa, kappa from which on data were refused, or "").
    """

    head: Mapping[str, Any]
    backends: Sequence[str]
    versions: Mapping[str, str]
    matrix: Sequence[tuple[str, str, str, Sequence[Cell | None]]]
    sections: Sequence[Section]
    missing: Sequence[tuple[str, str, str, str, str]]
    reach: Sequence[tuple[str, str, str]]


def build_stability_page(page: StabilityPage) -> str:
    """The page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(chart=curves.chart, key=curves.key, coinciding=curves.coinciding)
    css = Markup(_asset("page.css") + _asset("stability.css"))
    return environment.from_string(_asset("stability.html")).render(page=page, css=css)


def _asset(name: str) -> str:
    return (files("bnspec.reports.page") / "templates" / name).read_text("utf-8")
