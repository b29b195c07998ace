"""``bnspec report``: the page of one or more runs, and their summary on the terminal."""

from __future__ import annotations

import argparse
from pathlib import Path

from bnspec.cli import CONFORMS, Command


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="+", type=Path, metavar="RUN", help="run directories, for example one of verify and one of bench"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write index.html (default: the first RUN)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the summary")


def _run(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json

    from bnspec.clauses import CLAUSES
    from bnspec.reports.page.page import write_page
    from bnspec.reports.run.merge import merge
    from bnspec.reports.run.store import read_run
    from bnspec.reports.summary.document import run_document

    runs = [read_run(path) for path in arguments.run]
    page = write_page(runs, CLAUSES, arguments.out or arguments.run[0])
    if arguments.json:
        print(json.dumps({**run_document(runs), "page": str(page)}, indent=1, allow_nan=False))
        return CONFORMS
    from bnspec.reports.tables.run import print_summary, terminal

    console = terminal()
    print_summary(merge(runs), console)
    console.print(f"\n{page}", highlight=False, markup=False, soft_wrap=True)
    return CONFORMS


REPORT = Command(
    help="Make the page of a run: one self-contained HTML file, and a summary here. Several runs share a page.",
    example="bnspec report runs/verify-1 runs/bench-1 --out public",
    configure=_configure,
    run=_run,
)
