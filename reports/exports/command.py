"""``bnspec export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnspec.cli import CONFORMS
from bnspec.options import JSON, command

if TYPE_CHECKING:
    from bnspec.reports.exports.formats import Exported

#: What --help says of each; the formats themselves are imported when one is asked for.
FORMATS = {
    "pytest-benchmark": "JSON for pytest-benchmark compare",
    "asv": "a folder for asv show and asv compare; needs --out DIR",
    "bmf": "Bencher Metric Format",
    "csv": "a row for each process of each cell, whatever its verdict",
    "csv-samples": "a row for each sample",
}
#: The marker keeps click from wrapping the list.
LISTED = "\b\n" + "\n".join(f"{name:<18}{words}" for name, words in FORMATS.items())


@command(
    "export",
    summary="convert a run's timings for pytest-benchmark, asv, Bencher or a spreadsheet",
    example="bnspec export runs/bench-1 --to pytest-benchmark --out bench.json && pytest-benchmark compare bench.json",
    help=f"""Convert the timings of a run to a format of another tool:

{LISTED}

Formats that hold only times take the cells whose outputs conform; the number of cells that are left out is printed on
standard error.""",
    params=[
        click.Argument(["run"], type=Path, help="Run directory of bnspec bench."),
        click.Option(["--to"], required=True, metavar="FORMAT", help=f"One of {', '.join(FORMATS)}."),
        click.Option(["--out"], type=Path, metavar="PATH", show_default="standard output", help="Write this file; for asv, this folder."),
        click.Option(["--unverified"], is_flag=True, help="Include times whose outputs do not conform; their names end in the verdict."),
        JSON,
    ],
)  # fmt: skip
def export(command_line: str, run: Path, to: str, out: Path | None, unverified: bool, as_json: bool) -> int:
    """Write or print the timings in the format."""
    from bnspec.errors import UsageError
    from bnspec.reports.exports.formats import FOLDERS
    from bnspec.reports.exports.formats import export as exported_as
    from bnspec.reports.exports.writing import write_file, write_folder
    from bnspec.reports.run.store import read_run
    from bnspec.terminal.console import print_json, terminal, verbatim

    if to in FOLDERS and out is None:
        raise UsageError(f"{to} cannot be printed.", "it is a folder of several files.", "name one with --out DIR.")
    recorded = read_run(run)
    exported = exported_as(recorded, to, unverified)
    if out is not None and to in FOLDERS:
        write_folder(out, exported.files)
    elif out is not None:
        write_file(out, exported.files[""])
    for note in _notes(exported, recorded.complete):
        verbatim(terminal(stderr=True), f"bnspec export: {note}")
    if as_json:
        print_json(_document(to, out, exported))
    elif out is None:
        sys.stdout.write(exported.files[""])
    else:
        verbatim(terminal(), str(out))
    return CONFORMS


def _notes(exported: Exported, complete: bool) -> list[str]:
    """What the file itself does not show."""
    return [*exported.notes, *([] if complete else ["the run was cut short: exported is what it had recorded"])]


def _document(to: str, out: Path | None, exported: Exported) -> dict[str, object]:
    """What --json prints; with the text itself, where it went to no file."""
    document: dict[str, object] = {
        "format": to,
        "file": None if out is None else str(out),
        "rows": exported.rows,
        "left_out": exported.left_out,
    }
    return document if out is not None else {**document, "text": exported.files[""]}
