"""Reading the files of a run directory that anybody may have written: regular files, inside it, of bounded size."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bnspec.errors import UsageError
from bnspec.model.saved_case import TEXT_AT_MOST

#: Bytes of a manifest, of a saved case, of one line of records, and of all of them; and the number of lines.
MANIFEST_AT_MOST, CASE_AT_MOST = 16 << 20, TEXT_AT_MOST
LINE_AT_MOST, RECORDS_AT_MOST, LINES_AT_MOST = 64 << 20, 2 << 30, 5_000_000

_FIX = "name a run directory that bnspec wrote, or restore the file."


def resolved(path: Path) -> Path:
    """The path with its links followed; it need not exist. Raises UsageError: they lead round in a loop, or cannot be followed."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be followed.", f"{_reason(error)}.", "name what is no such link.") from None


def _reason(error: OSError | RuntimeError) -> str:
    """Why a path cannot be followed; up to Python 3.12 a loop of links is a RuntimeError."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "its links lead round in a loop"


def inside(folder: Path, name: str) -> Path:
    """The file of this name in a run directory.

    Raises UsageError: a link leads out of the directory, or it is no regular file: a pipe or a device may never end.
    """
    path = folder / name
    try:
        place = path.resolve(strict=True)
        if not place.is_relative_to(folder.resolve(strict=True)):
            raise UsageError(f"{path} leads out of the run directory.", f"it is a link to {place}.", _FIX)
        kind = place.stat().st_mode
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read.", f"{_reason(error)}.", _FIX) from None
    if not stat.S_ISREG(kind):
        raise UsageError(f"{path} cannot be read.", "it is no regular file.", _FIX)
    return place


def opened(folder: Path, name: str, at_most: int) -> IO[bytes]:
    """The file of this name in a run directory, open for reading. Raises UsageError: see ``inside``; or it is too large."""
    path = inside(folder, name)
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{folder / name} cannot be read.", f"{error.strerror or error}.", _FIX) from None
    size = os.fstat(file.fileno()).st_size
    if size > at_most:
        file.close()
        raise UsageError(f"{folder / name} is too large.", f"it has {size} bytes, and may have {at_most}.", _FIX)
    return file


def content(folder: Path, name: str, at_most: int) -> bytes:
    """The bytes of a file of a run directory. Raises UsageError: see ``opened``."""
    with opened(folder, name, at_most) as file:
        return file.read(at_most)


def case_text(folder: Path, name: str) -> str:
    """The text of a saved case. Raises UsageError: see ``opened``; or it is not UTF-8."""
    try:
        return content(folder, name, CASE_AT_MOST).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{folder / name} cannot be read.", f"{error}.", _FIX) from None


def lines(folder: Path, name: str) -> Iterator[bytes]:
    """The lines of a file of records, each with its line feed, the last perhaps without. Raises UsageError: see ``opened``."""
    with opened(folder, name, RECORDS_AT_MOST) as file:
        for number in range(1, LINES_AT_MOST + 2):
            line = file.readline(LINE_AT_MOST + 1)
            if not line:
                return
            if len(line) > LINE_AT_MOST or number > LINES_AT_MOST:
                what = f"more than {LINES_AT_MOST} lines" if number > LINES_AT_MOST else f"line {number} is too long"
                raise UsageError(f"{folder / name} is too large.", f"{what}.", _FIX)
            yield line
