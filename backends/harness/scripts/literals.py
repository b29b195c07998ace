"""Arrays as source text: every value exactly, and the memory layout where it matters."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnspec.model.buffers import pack
from bnspec.model.draws import Uniform, product, product_expression

#: An array that is written as nested lists, and its dtype.
ARRAY = re.compile(r'np\.array\((\[[^()]*\]), ("\w+")\)')
#: Characters that the values of one array may take in a script.
CHARACTERS = 1000
#: Above so many characters the digits of float32 values are cut to those that tell them apart.
AT_EASE = 300
#: Elements of draws of which an array may be a block, and blocks that are compared with it.
DRAWN, BLOCKS = 1 << 20, 1000


class NoScript(Exception):
    """A finding that no standalone script can show; the message says why."""


@dataclass(frozen=True)
class Literal:
    """An array as text, in parts that each framework puts together in its own words.

    Attributes:
        kind: what ``text`` is: "list" (nested lists), "full" (the one value of all elements), "empty" (nothing), "hex" (bytes),
            "drawn" (a NumPy expression of float64 values).
        dtype, shape: of the packed array that ``text`` gives.
        permuted: the order of axes that makes it the view; or empty.
        flipped: the axes that are walked backwards; or empty.
        strided: (shape, strides in elements, offset in elements) of the view into the flat array; or None.
    """

    kind: str
    text: str
    dtype: str
    shape: tuple[int, ...]
    permuted: tuple[int, ...] = ()
    flipped: tuple[int, ...] = ()
    strided: tuple[tuple[int, ...], tuple[int, ...], int] | None = None


def literal(name: str, array: np.ndarray) -> Literal:
    """The array as text. Raises NoScript: its values do not fit a line."""
    if array.flags.c_contiguous or array.size == 0:
        return _packed(name, array)
    flipped = tuple(a for a in range(array.ndim) if array.strides[a] < 0)
    forward = np.flip(array, flipped) if flipped else array
    order = tuple(int(a) for a in np.argsort([-s for s in forward.strides], kind="stable"))
    ordered = forward.transpose(order)
    if ordered.flags.c_contiguous:
        permuted = tuple(int(a) for a in np.argsort(order)) if order != tuple(range(array.ndim)) else ()
        return _with(_packed(name, ordered), permuted=permuted, flipped=flipped)
    return _strided(name, array)


def drawn(array: np.ndarray, factors: Sequence[Uniform]) -> Literal | None:
    """The array as the draws that give it, or as a block of them; None where they do not, or where it has gaps."""
    order = tuple(int(a) for a in np.argsort([-s for s in array.strides], kind="stable"))
    if not factors or not array.size or not array.transpose(order).flags.c_contiguous:
        return None
    try:
        shape = np.broadcast_shapes(*(f.shape for f in factors))
    except ValueError:
        return None
    # the shapes first: whoever wrote them may have written any; of a product that is not empty none has more elements than it
    if len(shape) != array.ndim or math.prod(shape) > DRAWN or any(n < m for n, m in zip(shape, array.shape)):
        return None
    block = _block(array, product(factors).astype(array.dtype))
    if block is None:
        return None
    text = product_expression(factors)
    if shape != array.shape:
        cuts = [f"{k}:{k + n}" for k, n in zip(block, array.shape)]
        text = f"({text})[{', '.join(cuts)}]"
    if array.flags.c_contiguous:
        return Literal("drawn", text, array.dtype.name, array.shape)
    packed = f"np.ascontiguousarray(({text}).transpose{order})"
    shape = tuple(array.shape[a] for a in order)
    return Literal("drawn", packed, array.dtype.name, shape, tuple(int(a) for a in np.argsort(order)))


def _block(array: np.ndarray, whole: np.ndarray) -> tuple[int, ...] | None:
    """Where in another array its elements lie, as one block; None where they do not."""
    first = whole[tuple(slice(n - m + 1) for n, m in zip(whole.shape, array.shape))]
    for place in np.argwhere(first == array.reshape(-1)[0])[:BLOCKS]:
        if whole[tuple(slice(k, k + m) for k, m in zip(place, array.shape))].tobytes() == array.tobytes():
            return tuple(int(k) for k in place)
    return None


def _strided(name: str, array: np.ndarray) -> Literal:
    """A view with gaps or repetitions, over the flat memory that it reaches."""
    specs, (memory,) = pack({name: array})
    size, strides, offset = array.itemsize, array.strides, int(specs[name]["offset"])
    if any(s % size for s in strides) or offset % size or len(memory) % size:
        raise NoScript(f"the elements of {name} do not lie at multiples of their size")
    flat = _packed(name, np.frombuffer(memory, array.dtype))
    return _with(flat, strided=(array.shape, tuple(s // size for s in strides), offset // size))


def _with(packed: Literal, **view: object) -> Literal:
    return Literal(packed.kind, packed.text, packed.dtype, packed.shape, **view)  # type: ignore[arg-type]


def _packed(name: str, array: np.ndarray) -> Literal:
    dtype, shape = array.dtype.name, array.shape
    if array.size == 0:
        return Literal("empty", "", dtype, shape)
    if array.size > 4 and len({v.tobytes() for v in array.reshape(-1)}) == 1:
        return Literal("full", number(array.reshape(-1)[0]), dtype, shape)
    if array.size * 4 <= CHARACTERS:
        text = nested(array)
        if len(text) > AT_EASE and dtype == "float32":
            text = nested(array, shortest=True)
        if len(text) <= CHARACTERS:
            return Literal("list", text, dtype, shape)
    text = np.ascontiguousarray(array).tobytes().hex()
    if len(text) <= CHARACTERS:
        return Literal("hex", text, dtype, shape)
    raise NoScript(f"{name} has {array.size} values, which do not fit a line of {CHARACTERS} characters")


def nested(array: np.ndarray, shortest: bool = False) -> str:
    """The values in nested lists."""
    if array.ndim == 0:
        return number(array[()], shortest)
    return "[" + ", ".join(nested(row, shortest) for row in array) + "]"


def number(value: Any, shortest: bool = False) -> str:
    """A value exactly; with ``shortest`` in the fewest digits that its float32 is read back from."""
    if isinstance(value, np.bool_):
        return repr(bool(value))
    if isinstance(value, np.integer):
        return repr(int(value))
    wide = float(value)
    if math.isnan(wide):
        return 'float("nan")'
    if math.isinf(wide):
        return 'float("inf")' if wide > 0 else '-float("inf")'
    few = str(value)
    return few if shortest and np.float32(float(few)) == value else repr(wide)


def string(text: str) -> str:
    """A text as a literal between double quotes: printable ASCII as it is, all else as escapes, so that nothing ends it."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def numpy_expression(value: Literal, dtype: str) -> str:
    """The array in NumPy's words; ``dtype`` is an expression."""
    shape = value.shape
    text = {
        "list": f"np.array({value.text}, {dtype})",
        "full": f"np.full({shape}, {value.text}, {dtype})",
        "empty": f"np.empty({shape}, {dtype})",
        "drawn": f"({value.text}).astype({dtype})",
        "hex": f'np.frombuffer(bytes.fromhex("{value.text}"), {dtype}).reshape({shape})',
    }[value.kind]
    if value.strided is not None:
        wanted, strides, offset = value.strided
        size = 2 if value.dtype in ("float16", "bfloat16") else np.dtype(value.dtype).itemsize
        start = f"[{offset}:]" if offset else ""
        text = f"np.lib.stride_tricks.as_strided({text}{start}, {wanted}, {tuple(s * size for s in strides)})"
    if value.permuted:
        text += f".transpose{value.permuted}"
    if value.flipped:
        ndim = len(value.shape)
        text += "[" + ", ".join("::-1" if a in value.flipped else ":" for a in range(ndim)) + "]"
    return text


def numpy_array(value: Literal) -> str:
    """The array in NumPy's words, its dtype by name. Raises NoScript: NumPy has no such dtype."""
    if value.dtype == "bfloat16":
        raise NoScript("NumPy alone has no bfloat16")
    return numpy_expression(value, f'"{value.dtype}"')


def two_arrays(names: str, first: str, second: str) -> str:
    """The statement that gives two names two arrays: the rows of one, where both are written as values of one dtype."""
    found = [ARRAY.fullmatch(text) for text in (first, second)]
    if found[0] and found[1] and found[0][2] == found[1][2]:
        return f"{names} = np.array([{found[0][1]}, {found[1][1]}], {found[0][2]})"
    return f"{names} = {first}, {second}"
