"""The page of a run: one HTML file that needs nothing else, readable without scripts, in print, in light and in dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from bnspec.clauses import Clause
from bnspec.errors import UsageError
from bnspec.reports.page import conventions as page_conventions
from bnspec.reports.page import mutants as page_mutants
from bnspec.reports.page import parts as page_parts
from bnspec.reports.page import stability as page_stability
from bnspec.reports.page import timings as page_timings
from bnspec.reports.plots import curves
from bnspec.reports.plots import strips as charts
from bnspec.reports.plots.album import album
from bnspec.reports.plots.palette import numbers_of, palette
from bnspec.reports.plots.units import bytes_text, count_text, factor_text, percent_text
from bnspec.reports.run.merge import merge, warnings
from bnspec.reports.run.records import ratio_text, target_name
from bnspec.reports.run.store import Run, write_atomically
from bnspec.reports.summary.bandwidth import Ceiling
from bnspec.reports.summary.causes import by_target, count_sentence, needs
from bnspec.reports.summary.cells import cells
from bnspec.reports.summary.conventions import found_text, value_text
from bnspec.reports.summary.counts import COMPARISON_MARKS, MARKS, shade, standings, time_text
from bnspec.reports.summary.declined import by_reason
from bnspec.reports.summary.headlines import other_headline

NAME = "index.html"
STYLES = ("page.css", "page_timings.css", "page_stability.css")
_GENERATOR = '<meta name="generator" content="bnspec">'


def build_page(runs: Sequence[Run], clauses: Mapping[str, Clause]) -> str:
    """The page of one or more runs as HTML.

    Args:
        runs: at least one; what each says of a cell must be said by it alone.
        clauses: the specification's clauses by id, for their texts; unknown ones are shown by their id.
    Raises: UsageError: two runs speak of the same cell.
    """
    run = merge(runs)
    rows = standings(run)
    judged = [s for s in rows if s.tally.verdicts]
    texts = page_parts.clause_texts(run.findings, clauses)
    ceiling = Ceiling(run.roofs)
    timed = cells(run.timings, ceiling)
    named = [
        {r.backend for r in run.targets},
        {r.backend for r in run.timings},
        {r.backend for r in run.stability_curves},
    ]
    numbers = numbers_of(set().union(*named))
    styles = palette(timed, numbers)
    return (
        _environment()
        .get_template("page.html")
        .render(
            css=Markup("".join(map(_asset, STYLES))),
            generator=Markup(_GENERATOR),
            runs=runs,
            run=run,
            warnings=warnings(runs),
            headline=page_parts.headline(rows, timed, other_headline(run)),
            conventions=page_conventions.conventions(run),
            styles=styles,
            stability=page_stability.stability(run, numbers),
            mutants=page_mutants.mutants(run),
            standings=rows,
            causes=by_target(run) if run.causes else {},
            judged=judged,
            declined=by_reason(run.findings),
            texts=texts,
            matrix=page_parts.matrix(texts, judged, run.findings),
            deviating=page_parts.deviating(runs, texts, run.findings),
            declared=page_parts.declared(run.targets),
            workloads=page_timings.workloads(timed, run.comparisons, styles),
            pictures=album(timed, styles, ceiling),
        )
    )


def write_page(runs: Sequence[Run], clauses: Mapping[str, Clause], folder: Path) -> Path:
    """Build the page and write it to ``folder``/index.html, whole or not at all; returns its path.

    Raises: UsageError: the folder cannot be written, or holds an index.html that is not a page of ours.
    """
    page, html = folder / NAME, build_page(runs, clauses)
    try:
        if page.exists() and _GENERATOR not in page.read_text("utf-8", "replace")[:1000]:
            raise UsageError(
                f"{page} is not a page of bnspec.", "it would be overwritten.", "name another folder with --out."
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(page, html)
    except OSError as error:
        raise UsageError(
            f"{page} cannot be written.", f"{error}.", "name a folder that you may write to with --out."
        ) from None
    return page


def _asset(name: str) -> str:
    return (files("bnspec.reports.page") / "templates" / name).read_text("utf-8")


def _environment() -> Environment:
    """Jinja with everything escaped, and the words that the template uses."""
    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        ratio=ratio_text,
        time=time_text,
        shade=shade,
        target=target_name,
        text=page_parts.text_of,
        bytes=bytes_text,
        percent=percent_text,
        factor=factor_text,
        count=count_text,
        possible=found_text,
        value=value_text,
        causes=count_sentence,
        needs=needs,
    )
    environment.tests["web"] = page_parts.is_web
    environment.globals.update(
        marks=MARKS,
        compared=COMPARISON_MARKS,
        anchor=page_parts.anchor,
        charts=charts,
        curves=curves,
        undecided=page_timings.undecided,
    )
    return environment
