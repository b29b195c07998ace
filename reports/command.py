"""``bnspec report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bnspec.cli import CONFORMS
from bnspec.options import JSON, command


@command(
    "report",
    summary="write the page of one or more runs",
    example="bnspec report runs/verify-1 runs/bench-1 --out public",
    params=[
        click.Argument(["run"], nargs=-1, required=True, type=Path, help="Run directories, for example one of verify and one of bench."),
        click.Option(["--out"], type=Path, metavar="DIR", show_default="the first RUN", help="Write index.html here."),
        JSON,
    ],
)  # fmt: skip
def report(command_line: str, run: Sequence[Path], out: Path | None, as_json: bool) -> int:
    """Write one self-contained HTML page about one or more runs, and print a summary."""
    from bnspec.clauses import CLAUSES
    from bnspec.reports.page.page import write_page
    from bnspec.reports.run.merge import merge
    from bnspec.reports.run.store import read_run
    from bnspec.reports.summary.document import run_document
    from bnspec.reports.tables.run import print_summary
    from bnspec.terminal.console import print_json, terminal, verbatim

    runs = [read_run(path) for path in run]
    page = write_page(runs, CLAUSES, out or run[0])
    if as_json:
        print_json({**run_document(runs), "page": str(page)})
        return CONFORMS
    console = terminal()
    print_summary(merge(runs), console)
    verbatim(console, f"\n{page}")
    return CONFORMS
