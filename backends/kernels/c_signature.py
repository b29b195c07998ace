"""Prototypes of C functions in a header: names, types and order of arguments.

    int batch_norm(const float *x, const float *gamma, const float *beta, float *running_mean, float *running_var,
                   float *y, int n, int c, int hw, float eps, float momentum, int training);

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import ctypes
import dataclasses
import re
from typing import Any, Dict, List, Mapping, Tuple

from bnspec.errors import UsageError

#: The elements of pointers by their C type, and the types of numbers.
ELEMENTS: Mapping[str, str] = {"float": "float32", "double": "float64", "_Float16": "float16", "__bf16": "bfloat16"}
NUMBERS: Mapping[str, Any] = {
    "float": ctypes.c_float, "double": ctypes.c_double, "int": ctypes.c_int, "int32_t": ctypes.c_int32, "long": ctypes.c_long,
    "int64_t": ctypes.c_int64, "size_t": ctypes.c_size_t, "unsigned": ctypes.c_uint, "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64, "ptrdiff_t": ctypes.c_ssize_t, "bool": ctypes.c_bool, "_Bool": ctypes.c_bool,
}  # fmt: skip
#: Words that say nothing of how a function is called.
IGNORED = ("const", "restrict", "__restrict__", "__restrict", "struct", "extern", "static", "inline")
PROTOTYPE = re.compile(r"(\w+)\s*\(([^()]*)\)\s*[;{]")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*", re.DOTALL | re.MULTILINE)
#: Characters of a header at most.
HEADER_CHARACTERS = 1 << 20


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument: ``element`` is the dtype of a pointer's elements, "" for a number; ``kind`` its type for ctypes."""

    name: str
    kind: Any
    element: str = ""


@dataclasses.dataclass(frozen=True)
class Prototype:
    """A function with its arguments; ``returns_status``: it returns an int, 0 where all went well."""

    name: str
    arguments: Tuple[Argument, ...]
    returns_status: bool


def prototypes(text: str, where: str) -> Dict[str, Prototype]:
    """The functions of a header by name. Raises UsageError: it is too long, or declares none."""
    if len(text) > HEADER_CHARACTERS:
        raise UsageError(
            "%s is too long for a header." % where,
            "it has more than %d characters." % HEADER_CHARACTERS,
            "name the functions of the kernel alone in it.",
        )
    plain = COMMENT.sub(" ", text)
    found: Dict[str, Prototype] = {}
    for match in PROTOTYPE.finditer(plain):
        before = re.split(r"[;{}]", plain[: match.start()])[-1].split()
        result = [word for word in before if word not in IGNORED and not word.startswith('"')]
        arguments = [a.strip() for a in match[2].split(",") if a.strip() not in ("", "void")]
        if result:
            returns_status = result[-1] in NUMBERS and result[-1] not in ("float", "double")
            found[match[1]] = Prototype(match[1], tuple(argument(a, match[1]) for a in arguments), returns_status)
    if not found:
        raise UsageError(
            "%s declares no function." % where,
            "the header beside a shared object says how it is called.",
            "write the prototype, as in examples/kernels/c_kernel.h.",
        )
    return found


def argument(text: str, owner: str) -> Argument:
    """One argument of a prototype. Raises UsageError: its type is unknown."""
    words: List[str] = [w for w in re.findall(r"\w+|\*", text.replace("[]", "*")) if w not in IGNORED]
    pointer, names = "*" in words, [w for w in words if w != "*"]
    kind = next((w for w in names[:-1] if w in NUMBERS or w in ELEMENTS), "")
    if len(names) < 2 or not kind or (pointer and kind not in ELEMENTS) or words.count("*") > 1:
        raise UsageError(
            "%s takes %r, which cannot be handed over." % (owner, text),
            "known are pointers to %s, and the numbers %s, each with a name."
            % (", ".join(ELEMENTS), ", ".join(NUMBERS)),
            "wrap the function in one that takes these.",
        )
    if pointer:
        return Argument(names[-1], ctypes.c_void_p, ELEMENTS[kind])
    return Argument(names[-1], NUMBERS[kind])
