"""Extents around the sizes of blocks, in the forms that a kernel takes: what a mask, a loop or a grid forgets lies behind a whole block."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from bnspec.conformance.cases.building import Form, batch_norm_case
from bnspec.conformance.cases.extents_and_memory import ragged
from bnspec.model.case import Case
from bnspec.model.conventions import HALVES, Conventions, Dtype

#: Usual sizes of blocks, tiles and grids.
SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
#: Extents near a size, those that find most first: just above, far above and odd, just below, the size itself.
NEAR = ("above", "odd", "below", "at")
#: Dtypes in turn, as far as they are offered; else the first that is.
IN_TURN: tuple[Dtype, ...] = ("float32", "float32", "float16", "float32", "bfloat16", "float32", "float64")


def block_cases(conventions: Conventions, seed: int, epsilon: float | None = None) -> Iterator[Case]:
    """Planes, channels, counts and batches of these extents, in the ranks and dtypes offered in turn; the first ones have all sizes.

    Args:
        epsilon: the only one that the kernel takes; None where it takes any.
    """
    asked = itertools.product(NEAR, ("plane", "channels", "count", "batch"), SIZES)
    for turn, (near, role, size) in enumerate(asked):
        extent = {"above": size + 1, "odd": size + size // 4 + 1, "below": size - 1, "at": size}[near]
        ranks = [r for r in conventions.ranks if r > 2 or role in ("channels", "batch")] or conventions.ranks
        rank = ranks[(turn + turn // len(SIZES)) % len(ranks)]  # another one for a size each time
        form = form_of(conventions, shape_of(rank, role, extent), IN_TURN[turn % len(IN_TURN)])
        plan = dataclasses.replace(ragged(form, forward=True), seed=seed + turn)
        yield batch_norm_case(plan if epsilon is None else dataclasses.replace(plan, epsilon=epsilon))


def shape_of(rank: int, role: str, extent: int) -> tuple[int, ...]:
    """A shape, channels second, in which this is the extent of a plane, of the channels, of a channel's count or of the batch."""
    places = rank - 2
    if role == "channels":
        return (3, extent, *(1,) * places)
    if role == "batch" or not places:
        return (extent, 2, *(1,) * places)
    height = max(h for h in range(1, int(extent**0.5) + 1) if extent % h == 0)
    if role == "count" and height > 1:  # of several samples; a prime is one plane
        return (height, 2, *(1,) * (places - 1), extent // height)
    if places == 1:
        return (2, 3, extent)
    return (2, 3, *(1,) * (places - 2), height, extent // height)


def form_of(conventions: Conventions, shape: tuple[int, ...], dtype: Dtype) -> Form:
    """The form of this shape as the conventions offer it: its axis, dtypes and parameters."""
    usual: Dtype = "float32" if "float32" in conventions.dtypes else conventions.dtypes[0]
    kind = dtype if dtype in conventions.dtypes else usual
    parameters = "float32" if kind in HALVES and "float32" in conventions.half_parameters else kind
    first = conventions.offers_axis(len(shape), 1)
    return (
        Form(shape, 1, kind, parameters)
        if first
        else Form((shape[0], *shape[2:], shape[1]), len(shape) - 1, kind, parameters)
    )
