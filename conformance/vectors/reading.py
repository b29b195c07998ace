"""Reads a safetensors file that somebody else wrote: bounded, and checked before anything is made of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from bnspec.conformance.vectors.folder import CODES
from bnspec.errors import UsageError
from bnspec.model.buffers import dtype_of

#: Bytes of a file and of its header at most.
FILE_BYTES, HEADER_BYTES = 1 << 28, 1 << 24
NAMES = {code: name for name, code in CODES.items()}
Extent = Annotated[int, msgspec.Meta(ge=0, lt=2**40)]


class Entry(msgspec.Struct):
    """An array of the header."""

    dtype: str
    shape: Annotated[list[Extent], msgspec.Meta(max_length=32)]
    data_offsets: tuple[Extent, Extent]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name. Raises UsageError: it is no safetensors file, or an array does not fit."""
    if not path.is_file() or path.stat().st_size > FILE_BYTES:
        raise _wrong(path, f"it is no regular file of at most {FILE_BYTES >> 20} MiB")
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or size > min(HEADER_BYTES, len(raw) - 8):
        raise _wrong(path, "its header is longer than the file")
    try:
        header = msgspec.json.decode(raw[8 : 8 + size], type=dict[str, msgspec.Raw])
        entries = {n: msgspec.json.decode(e, type=Entry) for n, e in header.items() if n != "__metadata__"}
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong(path, f"its header cannot be read: {error}") from None
    data = memoryview(raw)[8 + size :]
    return {name: _array(path, name, entry, data) for name, entry in entries.items()}


def _array(path: Path, name: str, entry: Entry, data: memoryview) -> np.ndarray:
    begin, end = entry.data_offsets
    if entry.dtype not in NAMES:
        raise _wrong(path, f"{name!r:.100} has the dtype {entry.dtype!r:.20}; known are {', '.join(NAMES)}")
    dtype = dtype_of(NAMES[entry.dtype])
    if not begin <= end <= len(data) or math.prod(entry.shape) * dtype.itemsize != end - begin:
        raise _wrong(path, f"{name!r:.100} of shape {tuple(entry.shape)} does not fit into its bytes")
    return np.frombuffer(bytes(data[begin:end]), dtype).reshape(entry.shape)


def _wrong(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} cannot be read as answers.", f"{why}.", "write it as docs/vectors/README.md says, Answers."
    )
