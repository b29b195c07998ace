"""The study as a folder: points.jsonl, summary.json and one page that needs nothing else."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np

from bnspec.conformance.stability.errors import OUTPUTS, REFERENCES
from bnspec.conformance.stability.run import Study
from bnspec.conformance.stability.study import Curve, Key, curves
from bnspec.conformance.stability.table import cells, class_text, half_text
from bnspec.errors import UsageError
from bnspec.reports.page.stability import Cell, PageRow, Section, StabilityPage, build_stability_page
from bnspec.reports.plots.curves import Line, Panel
from bnspec.reports.run.store import write_atomically

PAGE = "index.html"
#: What marks a page of ours, so that no other is overwritten.
MARK = '<meta name="generator" content="bnspec">'
#: The outputs whose classes the page begins with.
OVERVIEW = ("y", "inference.y")
#: Bounds of two backends that are nowhere further apart than this, relatively, are drawn as one line.
ONE_LINE = 0.2


def write_folder(study: Study, folder: Path) -> Path:
    """Write the three files; returns the page's path.

    Raises: UsageError: the folder cannot be written, or holds an index.html that is not a page of ours.
    """
    page = folder / PAGE
    try:
        if page.exists() and MARK not in page.read_text("utf-8", "replace")[:1000]:
            raise UsageError(
                f"{page} is not a page of bnspec.", "it would be overwritten.", "name another folder with --out."
            )
        folder.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(p.to_json(), separators=(",", ":"), allow_nan=False) for p in study.points)
        write_atomically(folder / "points.jsonl", "".join(line + "\n" for line in lines))
        write_atomically(folder / "summary.json", json.dumps(study.summary(), indent=1, allow_nan=False))
        write_atomically(page, build_stability_page(page_of(study)))
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written.", f"{error}.", "name a folder that you may write to with --out."
        ) from None
    return page


def page_of(study: Study) -> StabilityPage:
    """What stands on the page."""
    names = list(dict.fromkeys(r.key.backend for r in study.table))
    with_kappa, with_count = curves(study.points, "kappa"), curves(study.points, "count")
    sections = []
    for form, dtype in dict.fromkeys((r.key.form, r.key.dtype) for r in study.table):
        rows = [r for r in study.table if (r.key.form, r.key.dtype) == (form, dtype)]
        outputs = [o for o in OUTPUTS if any(r.key.output == o for r in rows)]
        panels = []
        for output in outputs:
            for sweep, found, label in (("kappa", with_kappa, "kappa = |mean| / std"), ("count", with_count, "count")):
                of = {k.backend: c for k, c in found.items() if (k.form, k.dtype, k.output) == (form, dtype, output)}
                if of:
                    panels.append(_panel(f"{output} against {sweep}", label, of, names))
        table = [PageRow(r.key.output, r.key.backend, class_text(r), cells(r)[1:]) for r in rows]
        sections.append(Section(form, dtype, panels, table))
    return StabilityPage(
        head=study.head,
        backends=names,
        versions={s.name: ", ".join(f"{k} {v}" for k, v in s.hello.versions.items()) for s in study.subjects},
        matrix=_matrix(study, names),
        sections=sections,
        missing=[(m.backend, m.dtype, m.form, m.status, m.message) for m in study.missing],
        reach=[(r.dtype, f"{r.largest:.3g}", f"{r.refused:.3g}" if r.refused is not None else "") for r in study.reach],
    )


def _matrix(study: Study, names: list[str]) -> list[tuple[str, str, str, list[Cell | None]]]:
    """For each form, dtype and overviewed output the classes, backend by backend; of the first output where neither was asked."""
    by_key = {r.key: r for r in study.table}
    asked = [o for o in OUTPUTS if any(r.key.output == o for r in study.table)]
    lines = []
    for form, dtype in dict.fromkeys((r.key.form, r.key.dtype) for r in study.table):
        for output in [o for o in OVERVIEW if o in asked] or asked[:1]:
            found = [by_key.get(Key(name, form, dtype, output)) for name in names]
            told = [None if r is None else Cell(class_text(r), half_text(r.half)) for r in found]
            lines.append((dtype, form, output, told))
    return lines


def _panel(title: str, label: str, of: dict[str, Curve], names: list[str]) -> Panel:
    """All backends in one chart, in units of the u that most of them store the output in, with the specification's bounds: one thin line for each that differs."""
    u = Counter(c.unit_roundoff for c in of.values()).most_common(1)[0][0]
    ceiling, own = 1.0 / u, {n: c.unit_roundoff / u for n, c in of.items()}
    lines = [Line(n, names.index(n), _places(of[n].places, own[n] * of[n].median, ceiling)) for n in names if n in of]
    bounds: list[tuple[str, list[tuple[float, float]]]] = []
    for tier in REFERENCES:
        drawn: list[np.ndarray] = []
        for name, curve in of.items():
            new = own[name] * curve.bounds[tier]
            if not any(len(new) == len(old) and np.allclose(new, old, rtol=ONE_LINE, equal_nan=True) for old in drawn):
                drawn.append(new)
                promised = np.where(np.isinf(new), np.nan, new)
                bounds.append((f"{tier} bound", _places(curve.places, promised, ceiling)))
    return Panel(title, label, lines, bounds, half=u**-0.5, lost=ceiling, unit=round(math.log2(u)))


def _places(x: np.ndarray, y: np.ndarray, ceiling: float) -> list[tuple[float, float]]:
    """Points for the chart; an error that is infinite is drawn where nothing is left, beyond 1/u."""
    shown = np.where(np.isinf(y), 10.0 * ceiling, y)
    return [(float(a), float(b)) for a, b in zip(x, shown, strict=True) if not np.isnan(b)]
