"""The page of a run: one HTML file that needs nothing else, readable without scripts, in print, in light and in dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from bnspec.clauses import Clause
from bnspec.errors import UsageError
from bnspec.printable import clean
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
from bnspec.reports.summary.counts import COMPARISON_MARKS, MARKS, shade, standings, time_text, weightiest
from bnspec.reports.summary.declined import by_reason
from bnspec.reports.summary.excerpt import excerpt, listing, shares
from bnspec.reports.summary.headlines import other_headline

NAME = "index.html"
STYLES = ("page.css", "page_timings.css", "page_stability.css")
#: Characters of a text of the run on the page.
TEXT_AT_MOST = 2000
#: Marks a page as ours, which may be overwritten.
GENERATOR = '<meta name="generator" content="bnspec">'


def build_page(runs: Sequence[Run], clauses: Mapping[str, Clause], merged: Run | None = None) -> str:
    """The page of one or more runs as HTML.

    Args:
        runs: at least one; what each says of a cell must be said by it alone.
        clauses: the specification's clauses by id, for their texts; unknown ones are shown by their id.
        merged: the runs as one, where the caller has them so.
    Raises: UsageError: two runs speak of the same cell.
    """
    run = merged or merge(runs)
    rows = standings(run)
    every_judged = [s for s in rows if s.tally.verdicts]
    every_text = page_parts.clause_texts(run.findings, clauses)
    whole = len(every_text) * len(every_judged) <= page_parts.CELLS
    judged = weightiest(every_judged, page_parts.TARGETS)
    texts = excerpt(every_text, page_parts.CLAUSES)
    deviating = page_parts.deviating(runs, every_text, run.findings)
    detailed = {page_parts.anchor(d.finding) for _, part in deviating for d in part.shown}
    causes = by_target(run)
    ceiling = Ceiling(run.roofs)
    timed = cells(run.timings, ceiling)
    named = [
        {r.backend for r in run.targets},
        {r.backend for r in run.timings},
        {r.backend for r in run.stability_curves},
    ]
    numbers = numbers_of(set().union(*named))
    styles = palette(timed, numbers)
    return clean(
        environment()
        .get_template("page.html")
        .render(
            css=Markup("".join(map(asset, STYLES))),
            generator=Markup(GENERATOR),
            runs=runs,
            run=run,
            warnings=warnings(runs),
            headline=page_parts.headline(rows, timed, other_headline(run)),
            conventions=page_conventions.conventions(run),
            styles=styles,
            stability=page_stability.stability(run, numbers),
            mutants=page_mutants.mutants(run),
            standings=weightiest(rows, page_parts.CARDS),
            counted={target: count_sentence(found) for target, found in causes.items()},
            causes=shares(causes, page_parts.CAUSES) if run.causes else {},
            judged=judged,
            declined=excerpt(by_reason(run.findings), page_parts.INCIDENTS),
            texts=texts,
            places={*(t.anchor for t in texts.shown), *detailed},
            matrix=page_parts.matrix(texts.shown, judged.shown, run.findings) if whole else {},
            sums=None if whole else page_parts.sums(texts, judged, run.findings),
            deviating=deviating,
            detailed=detailed,
            incidents=excerpt(run.incidents, page_parts.INCIDENTS),
            targets=excerpt(run.targets, page_parts.TARGETS),
            finished=excerpt(run.targets_finished, page_parts.TARGETS),
            listing=partial(listing, [r.path for r in runs]),
            declared=page_parts.declared(run.targets[: page_parts.TARGETS]),
            workloads=page_timings.workloads(timed, run.comparisons, styles),
            pictures=album(timed, styles, ceiling),
        )
    )


def write_page(runs: Sequence[Run], clauses: Mapping[str, Clause], folder: Path, merged: Run | None = None) -> Path:
    """Build the page and write it to ``folder``/index.html, whole or not at all; returns its path.

    Raises: UsageError: the folder cannot be written, or holds an index.html that is not a page of ours.
    """
    page, html = folder / NAME, build_page(runs, clauses, merged)
    try:
        if page.exists() and GENERATOR.encode() not in _beginning(page):
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


def _beginning(page: Path) -> bytes:
    """The first bytes of a file; nothing of what is no regular file."""
    if not page.is_file():
        return b""
    with page.open("rb") as file:
        return file.read(1000)


def asset(name: str) -> str:
    """The text of a template or style."""
    return (files("bnspec.reports.page") / "templates" / name).read_text("utf-8")


def _cut(value: Any) -> Any:
    """A value as the page shows it: of a very long text the beginning."""
    too_long = isinstance(value, str) and not isinstance(value, Markup) and len(value) > TEXT_AT_MOST
    return f"{value[:TEXT_AT_MOST]} … ({len(value)} characters)" if too_long else value


@cache
def environment() -> Environment:
    """Jinja with everything escaped, and the words that the template uses."""
    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_cut,
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
        needs=needs,
    )
    environment.tests["web"] = page_parts.is_web
    environment.globals.update(
        marks=MARKS,
        compared=COMPARISON_MARKS,
        anchor=page_parts.anchor,
        clause_anchor=page_parts.clause_anchor,
        charts=charts,
        curves=curves,
        undecided=page_timings.undecided,
    )
    return environment
