"""What a worker said of a kernel whose file only it can read, such as an ONNX model; checked before anything is made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from bnspec.backends.kernels.kernel import Kernel
from bnspec.errors import HarnessError
from bnspec.model.conventions import Dtype
from bnspec.printable import clean_line

#: The fields of Compiled that count instructions.
COUNTS = ("approximate", "corrected", "fused")
Extent = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Compiled(msgspec.Struct):
    """A kernel in the text of a device that is not here.

    Attributes:
        kernel, target: its name, and the architecture.
        approximate, corrected, fused: instructions that do not give the nearest number, those that make it the nearest one, and fused
            multiply-adds, each with how often it stands in the text.
        fusion_allowed: whether the compiler may fuse products and sums; None where it does not say so.
        flushes_to_zero: whether numbers below the normal ones are 0.
        failed: why it does not compile; "" where it does.
    """

    kernel: str
    target: str
    approximate: dict[str, int] = {}
    corrected: dict[str, int] = {}
    fused: dict[str, int] = {}
    fusion_allowed: bool | None = None
    flushes_to_zero: bool = False
    failed: str = ""


class Found(msgspec.Struct):
    """What was said.

    Attributes:
        run_by: what runs it, where that is not its form's own; "" where it is.
        shape, dtype: of the only x that it takes, None where an extent is open; [] where any rank may be.
        replaced: what the file holds as a constant or an attribute, and takes the case's values.
        supplied: what is computed in the kernel's place, such as running statistics that it does not keep; unjudged: results
            of which no clause speaks, and forms of x that return and are not offered.
        compiled: for devices, and not run; failed: why nothing is.
    """

    run_by: str = ""
    shape: Annotated[list[Extent | None], msgspec.Meta(max_length=8)] = []
    dtype: Dtype | Literal[""] = ""
    replaced: Annotated[list[str], msgspec.Meta(max_length=16)] = []
    supplied: Annotated[list[str], msgspec.Meta(max_length=16)] = []
    unjudged: Annotated[list[str], msgspec.Meta(max_length=64)] = []
    compiled: Annotated[list[Compiled], msgspec.Meta(max_length=64)] = []
    failed: str = ""


def found_of(details: Mapping[str, Any]) -> Found:
    """What the worker's hello says of its kernel. Raises HarnessError: it cannot be read."""
    try:
        found = msgspec.convert(details.get("kernel", {}), Found)
    except msgspec.ValidationError as error:
        raise HarnessError(
            "what the worker said of its kernel cannot be read.", f"{error}.", "report this with the kernel."
        ) from None
    found.run_by = clean_line(found.run_by)
    for names in (found.replaced, found.supplied, found.unjudged):
        names[:] = map(clean_line, names)
    found.compiled, found.failed = [cleaned(each) for each in found.compiled], clean_line(found.failed)
    return found


def cleaned(compiled: Compiled) -> Compiled:
    """The same with text that can be shown."""
    counts = {n: {clean_line(k): v for k, v in getattr(compiled, n).items()} for n in COUNTS}
    words = {n: clean_line(getattr(compiled, n)) for n in ("kernel", "target", "failed")}
    return msgspec.structs.replace(compiled, **counts, **words)


def completed(kernel: Kernel, found: Found) -> Kernel:
    """The kernel with what was said of it."""
    changes: dict[str, Any] = {}
    if found.shape and found.dtype:
        changes.update(shape=tuple(found.shape), dtype=found.dtype)
    return dataclasses.replace(kernel, run_by=found.run_by, replaced=tuple(found.replaced), **changes)
