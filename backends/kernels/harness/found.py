"""What a worker said of a kernel whose file only it can read, such as an ONNX model; checked before anything is made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from bnspec.backends.kernels.kernel import Kernel
from bnspec.errors import HarnessError
from bnspec.model.conventions import Dtype
from bnspec.printable import clean

Extent = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Found(msgspec.Struct):
    """What was said.

    Attributes:
        run_by: what runs it, where that is not its form's own; "" where it is.
        shape, dtype: of the only x that it takes, None where an extent is open; [] where all are.
        replaced: what the file holds as a constant or an attribute, and takes the case's values.
    """

    run_by: str = ""
    shape: Annotated[list[Extent | None], msgspec.Meta(max_length=8)] = []
    dtype: Dtype | Literal[""] = ""
    replaced: Annotated[list[str], msgspec.Meta(max_length=16)] = []


def found_of(details: Mapping[str, Any]) -> Found:
    """What the worker's hello says of its kernel. Raises HarnessError: it cannot be read."""
    try:
        found = msgspec.convert(details.get("kernel", {}), Found)
    except msgspec.ValidationError as error:
        raise HarnessError("what the worker said of its kernel cannot be read.", f"{error}.", "") from None
    found.run_by, found.replaced = clean(found.run_by), [clean(name) for name in found.replaced]
    return found


def told(kernel: Kernel, found: Found) -> Kernel:
    """The kernel with what was said of it."""
    changes: dict[str, Any] = {}
    if found.shape and found.dtype:
        changes.update(shape=tuple(found.shape), dtype=found.dtype)
    return dataclasses.replace(kernel, run_by=found.run_by, replaced=tuple(found.replaced), **changes)
