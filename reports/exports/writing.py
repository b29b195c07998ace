"""Exported files on disk: each is whole or not there, and an error says how to fix it."""

from __future__ import annotations

from pathlib import Path

from bnspec.errors import UsageError
from bnspec.reports.exports.asv import BENCHMARKS, CONFIGURATION, merged
from bnspec.reports.run.files import resolved
from bnspec.reports.run.store import write_atomically


def write_file(path: Path, text: str) -> None:
    """Write one file; one that is there already is replaced.

    Raises UsageError: the path is a folder or a device, or cannot be written.
    """
    place = resolved(path)
    if place.is_dir():
        raise UsageError(f"{path} is a folder.", "this format is one file.", "name a file in it.")
    if place.exists() and not place.is_file():
        raise UsageError(
            f"{path} is no file.", "what is exported takes a file's place.", "leave --out out to print it."
        )
    try:
        write_atomically(place, text)
    except OSError as error:
        mend = "name a file in a folder that is there and that you may write to."
        raise UsageError(f"{path} cannot be written.", f"{error.strerror}.", mend) from None


def write_folder(path: Path, files: dict[str, str]) -> None:
    """Write a folder of asv's; benchmarks and releases that it holds already stay, a configuration is kept as it is.

    Raises UsageError: the path is a file, holds another ``benchmarks.json``, or cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is no folder.", "this format is a folder of several files.", "name a folder.")
    try:
        complete = dict(files)
        if (path / BENCHMARKS).exists():
            complete[BENCHMARKS] = merged((path / BENCHMARKS).read_text(encoding="utf-8"), files[BENCHMARKS])
        if (path / CONFIGURATION).exists():
            del complete[CONFIGURATION]
        for name, text in complete.items():
            if not resolved(path / name).is_relative_to(resolved(path)):
                raise UsageError(f"{path / name} lies outside of {path}.", "a link leads there.", "name a new folder.")
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path / name, text)
    except ValueError as error:
        raise UsageError(f"{path / BENCHMARKS} cannot be added to.", f"{error}.", "name a new folder.") from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written.", f"{error.strerror}.", "name a folder that you may write to."
        ) from None
