"""``bnspec report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bnspec.cli import CONFORMS
from bnspec.options import JSON, command, many


@command(
    "report",
    summary="write the page of one or more runs",
    example="bnspec report runs/verify-1 runs/bench-1 --out public\nbnspec report runs/verify-1 --findings 'running.*@torch.*'",
    params=[
        click.Argument(["run"], nargs=-1, required=True, type=Path, help="Run directories, for example one of verify and one of bench."),
        click.Option(["--out"], type=Path, metavar="DIR", show_default="the first RUN", help="Write index.html here."),
        many("--findings", metavar="GLOB", help="Write no page; print the deviations of these clauses or families: CLAUSE or CLAUSE@BACKEND. Repeatable.", all=""),
        JSON,
    ],
)  # fmt: skip
def report(command_line: str, run: Sequence[Path], out: Path | None, findings: Sequence[str], as_json: bool) -> int:
    """Write one self-contained HTML page about one or more runs, and print a summary.

    Of very many findings the page and the summary show the first of each clause and target; --findings lists all.
    """
    from bnspec.clauses import CLAUSES
    from bnspec.reports.page.page import write_page
    from bnspec.reports.run.codec import documents
    from bnspec.reports.run.merge import merge
    from bnspec.reports.run.store import read_run
    from bnspec.reports.summary.counts import named
    from bnspec.reports.summary.document import run_document
    from bnspec.reports.tables.findings import print_findings
    from bnspec.reports.tables.run import print_summary
    from bnspec.terminal.console import print_json, terminal, verbatim

    runs = [read_run(path) for path in run]
    merged = merge(runs)
    if findings:
        listed = named(merged.findings, findings)
        if as_json:
            print_json({"findings": documents(listed)})
        else:
            print_findings(listed, terminal())
        return CONFORMS
    page = write_page(runs, CLAUSES, out or run[0], merged)
    if as_json:
        print_json({**run_document([merged]), "page": str(page)})
        return CONFORMS
    console = terminal()
    print_summary(merged, console, run)
    verbatim(console, f"\n{page}")
    return CONFORMS


@command(
    "causes",
    summary="list the causes behind the deviations of runs, and the clauses that show each",
    example="bnspec causes runs/verify-1",
    params=[
        click.Argument(["run"], nargs=-1, required=True, type=Path, help="Run directories of verify."),
        JSON,
    ],
)
def causes(command_line: str, run: Sequence[Path], as_json: bool) -> int:
    """Print how many clauses deviate on each target and how many causes are behind them, then the causes."""
    from bnspec.reports.run.codec import documents
    from bnspec.reports.run.merge import merge
    from bnspec.reports.run.store import read_run
    from bnspec.reports.summary.causes import by_target, counted
    from bnspec.reports.tables.causes import print_causes, print_counts
    from bnspec.terminal.console import print_json, terminal

    merged = merge([read_run(path) for path in run])
    if as_json:
        counts = [counted(target, found)._asdict() for target, found in by_target(merged).items()]
        print_json({"targets": counts, "causes": documents(merged.causes)})
        return CONFORMS
    console = terminal()
    print_counts(merged, console)
    print_causes(merged, console)
    return CONFORMS
