"""The suffixes of the files that a kernel may come in; the command's help reads them without anything of a backend."""

from __future__ import annotations

PYTHON, SOLUTION = (".py",), (".json",)
#: A library beside its header; an ONNX model as protobuf, and as text; StableHLO.
LIBRARIES = (".so", ".dylib", ".dll")
ONNX = (".onnx", ".onnxtxt", ".onnxtext")
STABLEHLO = (".mlir", ".stablehlo")


def listed(*suffixes: str, last: str = "and") -> str:
    """Suffixes as words: ".a, .b and .c"."""
    return f"{', '.join(suffixes[:-1])} {last} {suffixes[-1]}"


#: All, as words.
KNOWN = listed(*PYTHON, *LIBRARIES, *ONNX, *STABLEHLO, *SOLUTION)
