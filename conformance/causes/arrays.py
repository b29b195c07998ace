"""The arrays of a case that experiments change, and the case with others in their place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bnspec.conformance.cases.shrinking import PER_CHANNEL, is_derived, rebuilt
from bnspec.model.case import Case

FLOATING = ("float16", "bfloat16", "float32", "float64")
COTANGENTS = ("dy", "v")
#: Ends the names of arrays without their padding.
COMPACTED = "_compacted"


def whole_inputs(case: Case) -> list[str]:
    """The floating inputs that are neither parts of others nor derived from them; none of a network, whose arrays are tied."""
    if case.subject == "network":
        return []
    own = (n for n in case.arrays if n not in PER_CHANNEL and not is_derived(n) and n != "mask")
    return [n for n in own if case.arrays[n].dtype.name in FLOATING and case.arrays[n].ndim == case.config.rank]


def inputs_of(case: Case) -> list[str]:
    """The whole inputs that are no cotangents."""
    return [n for n in whole_inputs(case) if not n.startswith(COTANGENTS)]


def cotangents_of(case: Case) -> list[str]:
    """The whole inputs that are cotangents."""
    return [n for n in whole_inputs(case) if n.startswith(COTANGENTS)]


def first_of(cases: Iterable[Case]) -> Case | None:
    """The first of the cases; None where there is none."""
    return next(iter(cases), None)


def with_arrays(case: Case, changes: dict[str, np.ndarray], **config: Any) -> Case | None:
    """The case with other arrays, its parts of x cut from the new x."""
    arrays = {**case.arrays, **changes}
    for name in [n for n in arrays if n.endswith("]") and "x" in changes]:
        begin, end = (int(k) for k in name[2:-1].split(":"))
        arrays[name] = arrays["x"][begin:end]
    return first_of(rebuilt(case, arrays, **config))


def without_padding(case: Case, name: str, mask: str) -> np.ndarray | None:
    """An input without its padding, all that is kept along the first reduced axis; None where nothing is kept, or the mask has another shape."""
    config, kept = case.config, case.arrays[mask].astype(bool)
    rows = np.moveaxis(case.arrays[name], config.channel_axis, -1)
    which = np.moveaxis(kept, config.channel_axis, -1)[..., 0]
    if which.shape != rows.shape[:-1] or not which.any() or not config.reduce_axes:
        return None
    shape = [1] * (config.rank - 1) + [config.channels]
    shape[0] = int(which.sum())
    return packed(np.moveaxis(rows[which].reshape(shape), -1, config.channel_axis))


def packed(array: np.ndarray) -> np.ndarray:
    """A packed copy."""
    return np.array(array, order="C", copy=True)


def laid_out_like(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The values with the strides of an array of this shape, counted in elements."""
    steps = [s // like.itemsize for s in like.strides]
    ends = [s * (n - 1) for s, n in zip(steps, like.shape)]
    if like.flags.c_contiguous or not like.size or 0 in steps:
        return values
    first = -sum(e for e in ends if e < 0)
    memory = np.full(first + sum(e for e in ends if e > 0) + 1, np.nan).astype(values.dtype)  # as the gaps of any case
    view = np.lib.stride_tricks.as_strided(memory[first:], like.shape, [s * values.itemsize for s in steps])
    view[...] = values
    return view
