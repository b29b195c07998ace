"""Packs arrays as buffers and views, and rebuilds them with their exact memory layout.

Strides, offset, order and memory shared with another array select kernels and hide bugs. Here arrays become plain data (a
list of buffers, and for each array its dtype, shape, strides, offset and buffer) and are rebuilt exactly.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import functools
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bnspec.errors import Declined, UsageError
from bnspec.model.red_zones import Fenced, aligned, fenced

_NATIVE = {name: np.dtype(name) for name in ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")}


_DTYPES = frozenset(_NATIVE.values())


@functools.lru_cache(maxsize=None)
def _name_of(dtype: np.dtype) -> str:
    """The name of a dtype, which is slow to make."""
    return dtype.name


def check_dtype(dtype: np.dtype) -> None:
    """Raises UsageError: arrays of this dtype cannot be sent. The name of a dtype is slow to make, so the usual ones go without."""
    if dtype not in _DTYPES:
        dtype_of(dtype.name)


def dtype_of(name: str) -> np.dtype:
    """The NumPy dtype of a name; bfloat16 comes from ml_dtypes. Raises UsageError on unknown names, Declined without ml_dtypes."""
    if name in _NATIVE:
        return _NATIVE[name]
    if name == "bfloat16":
        try:
            import ml_dtypes  # an optional dependency of a worker, needed only for bfloat16
        except ImportError:
            raise Declined("bfloat16 needs ml_dtypes, which this environment does not have") from None
        return np.dtype(ml_dtypes.bfloat16)
    raise UsageError(
        "dtype %r is unknown." % name, "known are bfloat16, " + ", ".join(_NATIVE) + ".", "use one of them."
    )


def root_of(array: np.ndarray) -> np.ndarray:
    """The array that owns ``array``'s memory, as far as NumPy knows."""
    while True:
        base = array.base
        if not isinstance(base, np.ndarray):
            base = getattr(base, "base", None)  # as_strided keeps the owner inside a wrapper
        if not isinstance(base, np.ndarray):
            return array
        array = base


def block_of(root: np.ndarray) -> Optional[np.ndarray]:
    """The memory of an owner as bytes, 1-D; None if it is not one block. NumPy allocates one; its axes may be in any order."""
    block = root.transpose(np.argsort([-s for s in root.strides], kind="stable"))
    return block.reshape(-1).view(np.uint8) if block.flags.c_contiguous and root.size else None


def extent(array: np.ndarray) -> Tuple[int, int]:
    """First and one-past-last byte address of the array's elements; equal for an empty array."""
    start = int(array.__array_interface__["data"][0])
    if array.size == 0:
        return start, start
    if array.flags.c_contiguous:
        return start, start + array.nbytes
    low = sum((n - 1) * s for n, s in zip(array.shape, array.strides) if s < 0)
    high = sum((n - 1) * s for n, s in zip(array.shape, array.strides) if s > 0)
    return start + low, start + high + array.itemsize


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the memory ranges of two arrays intersect."""
    return intersect(extent(a), extent(b))


def intersect(a: Tuple[int, int], b: Tuple[int, int]) -> bool:
    """Whether two ranges of addresses, each first and one past last, have a byte in common."""
    return max(a[0], b[0]) < min(a[1], b[1])


def pack(arrays: Mapping[str, np.ndarray]) -> Tuple[Dict[str, Any], List[bytes]]:
    """Arrays as (specs, buffers). Arrays that share an owner share a buffer; only the bytes in use are sent."""
    owners: Dict[int, List[str]] = {}
    for name, array in arrays.items():
        owners.setdefault(id(root_of(array)), []).append(name)
    specs: Dict[str, Any] = {}
    buffers: List[bytes] = []
    for names in owners.values():
        only = arrays[names[0]]
        if (
            len(names) == 1 and only.base is None and only.size and only.flags.c_contiguous
        ):  # most: all of its own memory
            specs[names[0]] = _spec(only, len(buffers), 0)
            buffers.append(only.tobytes())
            continue
        reached = [extent(arrays[n]) for n in names if arrays[n].size]
        low = min((a for a, _ in reached), default=0)
        high = max((b for _, b in reached), default=0)
        root = root_of(arrays[names[0]])
        begin = int(root.__array_interface__["data"][0])
        flat = block_of(root)
        if flat is None and high > low:
            raise UsageError(
                "an array's memory is not one block.", "its owner is not contiguous.", "copy the array first."
            )
        data = b"" if flat is None else flat[low - begin : high - begin].tobytes()
        for n in names:
            array = arrays[n]
            start = int(array.__array_interface__["data"][0]) - low if array.size else 0
            specs[n] = _spec(array, len(buffers), start)
        buffers.append(data)
    return specs, buffers


def _spec(array: np.ndarray, buffer: int, offset: int) -> Dict[str, Any]:
    """How the array lies in its buffer."""
    shape, strides = list(array.shape), list(array.strides)
    return {"buffer": buffer, "dtype": _name_of(array.dtype), "shape": shape, "strides": strides, "offset": offset}


def unpack(specs: Mapping[str, Any], buffers: List[bytes]) -> Dict[str, np.ndarray]:
    """The inverse of ``pack``: writable arrays in fresh memory, 64-byte aligned as the first byte of each buffer.

    Raises UsageError: a view reaches outside its buffer.
    """
    return _rebuilt(specs, [aligned(b) for b in buffers])


def unpack_fenced(specs: Mapping[str, Any], buffers: List[bytes]) -> Tuple[Dict[str, np.ndarray], List[Fenced]]:
    """``unpack``, with the memory between red zones in which each buffer lies."""
    names: List[List[str]] = [[] for _ in buffers]
    for name, spec in specs.items():
        if isinstance(spec, dict) and isinstance(spec.get("buffer"), int) and 0 <= spec["buffer"] < len(names):
            names[spec["buffer"]].append(name)
    fences = [fenced(b, tuple(listed)) for b, listed in zip(buffers, names)]
    return _rebuilt(specs, [f.memory for f in fences]), fences


def _rebuilt(specs: Mapping[str, Any], memory: Sequence[np.ndarray]) -> Dict[str, np.ndarray]:
    """The arrays over the memory of their buffers."""
    arrays: Dict[str, np.ndarray] = {}
    for name, spec in specs.items():
        try:
            shape, dtype, block = tuple(spec["shape"]), dtype_of(spec["dtype"]), memory[spec["buffer"]]
            strides, offset = tuple(spec["strides"]), spec["offset"]
            if not _inside(shape, strides, offset, dtype.itemsize, block.size):
                raise ValueError("it reaches outside its buffer of %d bytes" % block.size)
            arrays[name] = np.ndarray(shape, dtype, buffer=block, offset=offset, strides=strides)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UsageError(
                "array %r cannot be rebuilt: %s." % (name, error),
                "its shape, strides and offset must stay inside its buffer.",
                "write the case again with bnspec's own writer.",
            ) from None
    return arrays


def _inside(shape: Tuple[int, ...], strides: Tuple[int, ...], offset: int, itemsize: int, nbytes: int) -> bool:
    """Whether every element lies in the buffer. NumPy also checks this, but not for an empty buffer."""
    if len(shape) != len(strides) or min(shape, default=0) < 0 or not 0 <= offset <= nbytes:
        return False
    if 0 in shape:
        return True
    reach = [(n - 1) * s for n, s in zip(shape, strides)]
    low, high = sum(r for r in reach if r < 0), sum(r for r in reach if r > 0)
    return offset + low >= 0 and offset + high + itemsize <= nbytes
