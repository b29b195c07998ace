"""The stability of backends on the page: classes, and for each form and dtype of x its charts and numbers."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from bnspec.reports.plots.curves import Line, Panel
from bnspec.reports.plots.palette import Style, key
from bnspec.reports.run.stability import Curve, StabilityCurve, subject
from bnspec.reports.run.store import Run
from bnspec.reports.tables.stability import cells, class_text, half_text

#: The outputs whose classes the section begins with.
OVERVIEW = ("y", "inference.y")
#: Bounds of two backends that are nowhere more apart than this, relatively, are drawn as one line.
ONE_LINE = 0.2
#: Of the sweeps: the field of a record, the word, and the words on the axis.
SWEEPS = (("with_kappa", "kappa", "kappa = |mean| / std"), ("with_count", "count", "count"))


@dataclasses.dataclass(frozen=True)
class Cell:
    """A backend's class, and the kappa at which half of the digits are gone, as words."""

    kind: str
    half: str


@dataclasses.dataclass(frozen=True)
class TableRow:
    """A row of the table: output, backend, class, and the other columns."""

    output: str
    backend: str
    kind: str
    cells: Sequence[str]


@dataclasses.dataclass(frozen=True)
class FormSection:
    """A form and dtype of x: its charts and its table."""

    form: str
    dtype: str
    panels: Sequence[Panel]
    rows: Sequence[TableRow]

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return f"stability-{self.dtype}-{'-'.join(self.form.replace(',', '').split())}"


@dataclasses.dataclass(frozen=True)
class StabilitySection:
    """What the page says of stability.

    Attributes:
        backends: names, each with the key of its curves.
        matrix: rows (dtype, form, output, a cell for each backend).
        forms: charts and tables; missing: (backend, dtype, form, status, message).
        reach: (dtype, largest kappa, kappa from which on data were refused, or "").
    """

    backends: Sequence[tuple[str, Markup]]
    matrix: Sequence[tuple[str, str, str, Sequence[Cell | None]]]
    forms: Sequence[FormSection]
    missing: Sequence[tuple[str, str, str, str, str]]
    reach: Sequence[tuple[str, str, str]]


def stability(run: Run, numbers: Mapping[str, int]) -> StabilitySection | None:
    """The section; None where nothing of it was studied. ``numbers``: of the page's backends, see ``numbers_of``."""
    found = run.stability_curves
    if not found and not run.not_measured:
        return None
    names = list(dict.fromkeys(map(subject, found)))
    styles = _styles(found, numbers)
    groups = dict.fromkeys((c.form, c.dtype) for c in found)
    forms = []
    for form, dtype in groups:
        of = [c for c in found if (c.form, c.dtype) == (form, dtype)]
        outputs = dict.fromkeys(c.output for c in of)
        panels = [p for output in outputs for p in _panels([c for c in of if c.output == output], styles)]
        rows = [TableRow(c.output, subject(c), class_text(c), cells(c)[1:]) for c in of]
        rows.sort(key=lambda r: list(outputs).index(r.output))
        forms.append(FormSection(form, dtype, panels, rows))
    return StabilitySection(
        backends=[(name, key(styles[name])) for name in names],
        matrix=_matrix(found, names),
        forms=forms,
        missing=[(subject(m), m.dtype, m.form, m.status, m.message) for m in run.not_measured],
        reach=[(r.dtype, f"{r.largest:.3g}", f"{r.refused:.3g}" if r.refused is not None else "") for r in run.reaches],
    )


def _styles(found: Sequence[StabilityCurve], numbers: Mapping[str, int]) -> dict[str, Style]:
    """The style of each subject, in their order: its backend's number, and its own among the backend's subjects."""
    of: dict[str, dict[str, None]] = {}
    for curve in found:
        of.setdefault(curve.backend, {})[subject(curve)] = None
    return {subject(c): Style(numbers[c.backend], list(of[c.backend]).index(subject(c))) for c in found}


def _matrix(found: Sequence[StabilityCurve], names: Sequence[str]) -> list[tuple[str, str, str, list[Cell | None]]]:
    """For each form, dtype and overviewed output the classes, backend by backend; of the first output where neither was measured."""
    by_key = {(c.form, c.dtype, c.output, subject(c)): c for c in found}
    measured = list(dict.fromkeys(c.output for c in found))
    lines = []
    for form, dtype in dict.fromkeys((c.form, c.dtype) for c in found):
        for output in [o for o in OVERVIEW if o in measured] or measured[:1]:
            row = [by_key.get((form, dtype, output, name)) for name in names]
            lines.append((dtype, form, output, [None if c is None else Cell(class_text(c), half_text(c)) for c in row]))
    return lines


def _panels(of: Sequence[StabilityCurve], styles: Mapping[str, Style]) -> list[Panel]:
    """The charts of one output: against kappa, and against the count."""
    panels = []
    for field, sweep, label in SWEEPS:
        drawn = {subject(c): (c, curve) for c in of if (curve := getattr(c, field)) is not None}
        if drawn:
            panels.append(_panel(f"{of[0].output} against {sweep}", label, drawn, styles))
    return panels


def _panel(
    title: str, label: str, drawn: Mapping[str, tuple[StabilityCurve, Curve]], styles: Mapping[str, Style]
) -> Panel:
    """All backends in one chart, in units of the u that most of them store the output in, with the specification's bounds: one
    thin line for each that differs."""
    u = Counter(c.unit_roundoff for c, _ in drawn.values()).most_common(1)[0][0]
    ceiling = 1.0 / u

    def line(name: str, field: str) -> list[tuple[float, float]]:
        """The places of a curve or a bound, in units of u."""
        record, curve = drawn[name]
        own = record.unit_roundoff / u
        return [(x, own * float(y)) for x, y in zip(curve.places, getattr(curve, field), strict=True)]

    lines = [Line(n, styles[n], _shown(line(n, "median"), ceiling)) for n in styles if n in drawn]
    bounds: list[tuple[str, list[tuple[float, float]]]] = []
    for tier in ("permissive", "good"):
        different: list[list[tuple[float, float]]] = []
        for name in drawn:
            new = line(name, tier)
            if not any(_alike(new, old) for old in different):
                different.append(new)
                bounds.append((f"{tier} bound", [p for p in new if math.isfinite(p[1])]))
    return Panel(title, label, lines, bounds, half=u**-0.5, lost=ceiling, unit=round(math.log2(u)))


def _alike(new: Sequence[tuple[float, float]], old: Sequence[tuple[float, float]]) -> bool:
    """Whether two bounds lie on each other."""
    pairs = list(zip(new, old, strict=False))
    return len(new) == len(old) and all(a == b or abs(a - b) <= ONE_LINE * abs(b) for (_, a), (_, b) in pairs)


def _shown(points: Sequence[tuple[float, float]], ceiling: float) -> list[tuple[float, float]]:
    """Points for the chart; an error that is infinite is drawn where nothing is left, beyond 1/u."""
    return [(x, 10.0 * ceiling if math.isinf(y) else y) for x, y in points if not math.isnan(y)]
