"""A run directory that comes back from another machine, as a tar: data of a stranger, like any file that one is sent."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO

from bnspec.errors import HarnessError

#: The files of a run directory.
NAME = re.compile(r"(?:manifest\.json|records\.jsonl|journal\.jsonl|cases/[A-Za-z0-9_-]{1,100}\.json)\Z")
#: Bytes of all files together, and their number.
BYTES_AT_MOST, FILES_AT_MOST = 4 << 30, 200_000
_CHUNK = 1 << 20


def unpacked(data: bytes, folder: Path, at_most: int = BYTES_AT_MOST) -> None:
    """Write the files of a run directory into ``folder``, which appears when all of them are there.

    Raises HarnessError: a name that no run directory has, a link, a device, the same file twice, or more than ``at_most`` bytes.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (part / "cases").mkdir()
        with tempfile.TemporaryFile(dir=part.parent) as file:
            _inflate(data, file, at_most)
            _write(file, part, at_most)
        part.chmod(0o755)
        part.rename(folder)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise _refused(f"{type(error).__name__}: {error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _inflate(data: bytes, file: IO[bytes], at_most: int) -> None:
    """Decompress into a file: headers and padding of a tar are bounded as well as what its files hold."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as source:
        while chunk := source.read(_CHUNK):
            if file.tell() + len(chunk) > at_most:
                raise _refused(f"it has more than {at_most} bytes")
            file.write(chunk)
    file.seek(0)


def _write(file: IO[bytes], part: Path, at_most: int) -> None:
    found: set[str] = set()
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            if member.type != tarfile.REGTYPE or not NAME.match(member.name):
                raise _refused(f"{member.name[:100]!r} is no file of a run directory")
            if member.name in found or len(found) >= FILES_AT_MOST or not 0 <= member.size <= at_most:
                raise _refused(f"{member.name[:100]!r} comes twice, is too large, or is one of too many")
            found.add(member.name)
            content = tar.extractfile(member)
            assert content is not None
            descriptor = os.open(part / member.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(content, target, _CHUNK)
    if not {"manifest.json", "records.jsonl"} <= found:
        raise _refused("a run directory has a manifest and records")


def _refused(why: str) -> HarnessError:
    return HarnessError(
        "what a unit sent is no run directory.", f"{why}.", "see to the machine that ran it; then go on with --resume."
    )
