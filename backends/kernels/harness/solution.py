"""Reads a solution.json of FlashInfer-Bench, and refuses what it must not unpack or cannot judge.

Source: https://bench.flashinfer.ai/docs/flashinfer-trace/solution
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Literal

import msgspec

from bnspec.backends.kernels.kernel import Kernel
from bnspec.errors import UsageError

Text = Annotated[str, msgspec.Meta(min_length=1)]
#: Why a language is not judged here.
DECLINED = {
    "cuda": "CUDA needs a device, and none is used",
    "tilelang": "TileLang needs a device, and none is used",
}
FORM = "https://bench.flashinfer.ai/docs/flashinfer-trace/solution describes it"


class Source(msgspec.Struct):
    """A file."""

    path: Text
    content: Text


class Spec(msgspec.Struct):
    """What it is written in and for, where it begins, and how results are handed over."""

    language: Literal["python", "triton", "cpp", "cuda", "tilelang"]
    target_hardware: Annotated[list[str], msgspec.Meta(min_length=1)]
    entry_point: Text
    destination_passing_style: bool = True
    binding: Literal["tvm-ffi", "torch"] | None = None
    dependencies: list[Text] = []


class SolutionFile(msgspec.Struct):
    """A solution.json."""

    name: Text
    definition: Text
    author: Text
    spec: Spec
    sources: Annotated[list[Source], msgspec.Meta(min_length=1)]
    description: str | None = None


def solution(text: str, file: str, name: str) -> Kernel:
    """The kernel of a solution. Raises UsageError: the text is none, a source lies outside, or it cannot be judged here."""
    try:
        data = msgspec.json.decode(text, type=SolutionFile)
    except msgspec.DecodeError as error:
        raise UsageError(f"{file} is no solution.json.", f"{str(error).rstrip('.')}.", f"correct it; {FORM}.") from None
    refuse_paths(file, [s.path for s in data.sources])
    entry = name or data.spec.entry_point
    path, _, function = entry.partition("::")
    if entry.count("::") != 1 or path not in {s.path for s in data.sources} or not function.isidentifier():
        raise UsageError(
            f"{file} has the entry point {entry!r}.",
            f"it is FILE::FUNCTION, the file one of {', '.join(s.path for s in data.sources)}.",
            "correct spec.entry_point.",
        )
    language = data.spec.language
    if language == "cpp":
        if data.spec.binding == "torch":
            raise UsageError(
                f"{file} is C++ with the binding of torch, and that is not built here.",
                "C++ is built by tvm-ffi.",
                "set spec.binding to tvm-ffi, or build it as an operator of torch.library: bnspec judge file.py::library::operator.",
            )
        return Kernel("tvm-ffi", file, entry)
    if language in DECLINED:
        raise UsageError(
            f"{file} is written in {language}, and that is declined.",
            f"{DECLINED[language]}: solutions in Python, Triton (interpreted) and C++ are judged.",
            "answer the test vectors on the device: bnspec vectors, then bnspec vectors judge answers.",
        )
    if not path.endswith(".py"):
        raise UsageError(
            f"{file} has the entry point {entry!r}.",
            f"a solution in {language} begins in a .py.",
            "name a function of a .py.",
        )
    content = "\n".join(s.content for s in data.sources)
    arrays = "torch" if "import torch" in content or "from torch" in content or language == "triton" else "numpy"
    return Kernel("solution", file, entry, arrays, "", "triton" if language == "triton" else "")


def refuse_paths(file: str, paths: Sequence[str]) -> None:
    """Raise UsageError for sources that do not lie in the solution's folder, each at a place of its own."""
    seen: set[str] = set()
    for path in paths:
        parts = PurePosixPath(path).parts
        outside = PurePosixPath(path).is_absolute() or PureWindowsPath(path).anchor or "\\" in path or ".." in parts
        if outside or not parts or not path.isprintable():
            raise UsageError(
                f"{file} has a source outside of its folder: {path!r}.",
                "paths of sources are relative, with / between their parts and without ..",
                "correct it.",
            )
        place = "/".join(parts)
        clash = next((s for s in seen if s == place or s.startswith(f"{place}/") or place.startswith(f"{s}/")), None)
        if clash is not None:
            raise UsageError(f"{file} has two sources in one place: {path!r}.", f"{clash!r} is another.", "rename one.")
        seen.add(place)
