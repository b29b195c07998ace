"""Files of JSON lines that grow: each line carries a checksum, and is written as a whole.

    {"kind":"incident", ..., "crc":"1f2e3d4c"}

``crc`` is the last field: the CRC-32, in hex, of the line's bytes without it: of all before ``,"crc":``, and the closing brace.
A line without one is read as it is; earlier versions wrote none.
"""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bnspec.errors import HarnessError

#: Seconds between two times that a growing file is made durable, besides the ends of units.
SYNC_SECONDS = 2.0
_SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_SEAL_LENGTH = len(b',"crc":"01234567"}')


class Damaged(NamedTuple):
    """A line that is not what was written: its number, and why it is left out."""

    number: int
    why: str


def sealed(line: bytes) -> bytes:
    """A JSON object on one line, with its checksum."""
    return b'%s,"crc":"%08x"}' % (line[:-1], zlib.crc32(line))


def unsealed(line: bytes) -> bytes | None:
    """The inverse of ``sealed``; None where the line is not what was written. A line without a checksum is given back itself."""
    seal = _SEAL.fullmatch(line, max(len(line) - _SEAL_LENGTH, 0))
    if seal is None:
        return line
    body = line[: seal.start()] + b"}"
    return body if zlib.crc32(body) == int(seal[1], 16) else None


def split(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    """Each line without its line feed, with its number, and whether its end was written."""
    for number, line in enumerate(lines, 1):
        yield number, line.removesuffix(b"\n"), line.endswith(b"\n")


class LineFile:
    """A file of lines, open for appending by one process. Its owner sees to it that one thread writes at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._synced = time.monotonic()

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines, sealed, all at once. Raises HarnessError: they cannot be written; then nothing of them is left."""
        data = b"".join(sealed(line) + b"\n" for line in lines)
        begin = os.fstat(self._descriptor).st_size
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._descriptor, left) :]
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self._sync()
        except OSError as error:
            try:
                os.ftruncate(self._descriptor, begin)
            except OSError:  # then the last line is torn, and is left out when it is read
                pass
            raise unwritable(self.path, error) from None

    def sync(self) -> None:
        """Make what was written durable. Raises HarnessError: it cannot be."""
        try:
            self._sync()
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _sync(self) -> None:
        os.fsync(self._descriptor)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Close the file; twice is once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def unwritable(path: Path, error: OSError) -> HarnessError:
    """The error of a file of a run that cannot be written."""
    return HarnessError(
        f"{path} cannot be written.",
        f"{error.strerror or error}.",
        "make room, or see to its permissions; then go on with the run by --resume.",
    )


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:  # a file system that cannot
        pass
    finally:
        os.close(descriptor)
