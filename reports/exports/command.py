"""``bnspec export``: the timings of a run for other tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bnspec.cli import CONFORMS, Command

if TYPE_CHECKING:
    from bnspec.reports.exports.formats import Exported

#: What --help says of each; the formats themselves are imported when one is asked for.
FORMATS = {
    "pytest-benchmark": "JSON that pytest-benchmark compare reads",
    "asv": "a folder that asv show and asv compare read; needs --out DIR",
    "bmf": "Bencher Metric Format",
    "csv": "a row for each process of each cell, whatever its verdict",
    "csv-samples": "a row for each sample",
}


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory of bnspec bench")
    parser.add_argument("--to", required=True, metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="file to write, of asv the folder (default: the terminal)"
    )
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="take times whose outputs are not right, too; their names end in the verdict",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document about what was written")


def _run(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json

    from bnspec.errors import UsageError
    from bnspec.reports.exports.formats import FOLDERS, export
    from bnspec.reports.exports.writing import write_file, write_folder
    from bnspec.reports.run.store import read_run

    if arguments.to in FOLDERS and arguments.out is None:
        raise UsageError(
            f"{arguments.to} cannot be printed.", "it is a folder of several files.", "name one with --out DIR."
        )
    run = read_run(arguments.run)
    exported = export(run, arguments.to, arguments.unverified)
    if arguments.to in FOLDERS:
        write_folder(arguments.out, exported.files)
    elif arguments.out is not None:
        write_file(arguments.out, exported.files[""])
    for note in _notes(exported, run.complete):
        sys.stderr.write(f"bnspec export: {note}\n")
    if arguments.json:
        print(json.dumps(_document(arguments, exported), indent=1, allow_nan=False))
    elif arguments.out is None:
        sys.stdout.write(exported.files[""])
    else:
        print(arguments.out)
    return CONFORMS


def _notes(exported: Exported, complete: bool) -> list[str]:
    """What a reader of the file must know and cannot see in it."""
    return [*exported.notes, *([] if complete else ["the run was cut short: exported is what it had recorded"])]


def _document(arguments: argparse.Namespace, exported: Exported) -> dict[str, object]:
    """What --json prints; with the text itself, where it went to no file."""
    document: dict[str, object] = {
        "format": arguments.to,
        "file": None if arguments.out is None else str(arguments.out),
        "rows": exported.rows,
        "left_out": exported.left_out,
    }
    return document if arguments.out is not None else {**document, "text": exported.files[""]}


EXPORT = Command(
    help="The timings of a run for other tools:\n\n"
    + "\n".join(f"  {name:<18}{words}" for name, words in FORMATS.items())
    + "\n\nFormats of times alone take only cells whose outputs conform; what is left out is counted on standard error.",
    example="bnspec export runs/bench-1 --to pytest-benchmark --out bench.json && pytest-benchmark compare bench.json",
    configure=_configure,
    run=_run,
)
