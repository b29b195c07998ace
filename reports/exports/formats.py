"""The formats by name, and the one way through which all of them are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from bnspec.errors import UsageError
from bnspec.printable import clean
from bnspec.reports.exports.asv import asv
from bnspec.reports.exports.bmf import bmf
from bnspec.reports.exports.processes_csv import processes_csv
from bnspec.reports.exports.pytest_benchmark import pytest_benchmark
from bnspec.reports.exports.samples_csv import samples_csv
from bnspec.reports.exports.selection import Selection, select
from bnspec.reports.run.store import Run

#: Formats of times: of cells that have been selected.
TIMES: dict[str, Callable[[Run, Selection], str]] = {"pytest-benchmark": pytest_benchmark, "bmf": bmf}
#: The same, of several files.
FOLDERS: dict[str, Callable[[Run, Selection], dict[str, str]]] = {"asv": asv}
#: Formats that have a column for the verdict, and therefore every row.
TABLES: dict[str, Callable[[Run], str]] = {"csv": processes_csv, "csv-samples": samples_csv}


@dataclasses.dataclass(frozen=True)
class Exported:
    """A run in a format.

    Attributes:
        files: texts by path; the path of a format of one file is "".
        rows: benchmarks, or lines of a table.
        left_out: cells that are not in it, by verdict; notes: the same in sentences.
    """

    files: dict[str, str]
    rows: int
    left_out: dict[str, int]
    notes: list[str]


def export(run: Run, form: str, unverified: bool = False) -> Exported:
    """A run in one of the formats.

    Args:
        form: a name of ``TIMES``, ``FOLDERS`` or ``TABLES``.
        unverified: take times whose outputs are not right, too, named as such; tables have them always.
    Raises UsageError: there is no such format, the run has no timings, or none that the format takes.
    """
    if form in TABLES:
        text = clean(TABLES[form](run))
        rows = sum(len(t.samples_ns) for t in run.timings) if form == "csv-samples" else len(run.timings)
        return Exported({"": text}, rows, {}, [])
    if form not in TIMES and form not in FOLDERS:
        known = ", ".join((*TIMES, *FOLDERS, *TABLES))
        raise UsageError(f"no format is called {form!r}.", f"known are {known}.", "name one of them with --to.")
    selection = select(run, unverified)
    if not selection.taken:
        why = "; ".join(selection.notes)
        raise UsageError(f"{run.path} has nothing for {form}.", f"{why}.", "--to csv has every row with its verdict.")
    made = FOLDERS[form](run, selection) if form in FOLDERS else {"": TIMES[form](run, selection)}
    files = {path: clean(text) for path, text in made.items()}
    return Exported(files, len(selection.taken), selection.left_out, selection.notes)
