"""Constructed cases of extents and of memory: large counts, sizes of blocks, what coincides, views, unaligned and shared arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bnspec.conformance.cases.building import Form, Plan
from bnspec.conformance.cases.forms import (
    IMAGE,
    IMAGE_LAST,
    LINE,
    LINE_LAST,
    ROWS,
    TINY,
    VOLUME_LAST,
    in_dtype,
    in_float64,
)
from bnspec.conformance.cases.layouts import EVERY_AXIS
from bnspec.model.conventions import HALVES

#: (shape, channel axis) around the sizes of blocks, tiles, planes and grids, with few elements: kernels change their path there.
LADDER: tuple[tuple[tuple[int, ...], int], ...] = (
    ((33, 34), 1),
    ((64, 65), 1),
    ((1025, 3), 1),
    ((3, 257), 1),
    ((1, 33, 8, 4), 1),
    ((2, 2, 25, 41), 1),  # planes of 1,025: odd
    ((1, 25, 41, 3), 3),
    ((1, 2, 41, 103), 1),  # planes of 4,223: odd
    ((1, 46, 91, 2), 3),  # planes of 4,186: even, not a multiple of 4
    ((3, 2, 147), 1),  # an odd count
    ((2, 147, 3), 2),
    ((2, 1, 3, 131), 3),
    ((1, 2, 5, 13, 17), 1),  # 1,105 positions
    ((1, 2, 32, 64), 1),  # planes of 2,048: whole vectors, warps and blocks
    ((2, 3, 2, 80), 3),  # whole vectors of channels, beyond a warp's two
    ((36, 261, 1, 2), 1),  # a batch beyond a warp, channels beyond a block
    ((1, 2, 1, 260), 1),  # a row beyond a block
    ((2, 72, 3), 1),
)
#: (shape, channel axis) whose extents coincide: what finds an axis by its extent finds another one.
COINCIDENT: tuple[tuple[tuple[int, ...], int], ...] = (
    ((4, 4), 1),
    ((5, 3, 3, 3), 1),  # channels, both extents of the plane
    ((3, 3, 5, 5), 1),  # channels, batch; a square plane
    ((4, 4, 4), 1),
    ((4, 4, 4), 2),
    ((3, 3, 3, 3), 3),
    ((3, 3, 3, 1, 3), 1),  # all but a single position
    ((3, 3, 1, 3, 3), 4),
)


def ladder() -> Iterator[tuple[str, Plan]]:
    """Extents around the sizes of blocks."""
    for shape, axis in LADDER:
        yield "extents around blocks", ragged(Form(shape, axis), forward=max(shape) > 1024 or shape[-1] == 64)


def ragged(form: Form, forward: bool) -> Plan:
    """A short case whose values show what is lost at the end of a plane."""
    x, dy = ("tail", "tail") if len(form.shape) > 2 and form.dtype != "float16" else ("wide", "ramp")
    decay = 0.5 if form.dtype in HALVES else 0.75
    return Plan(form, x, cotangent=dy, decay=decay, seed=71, short=True, forward=forward)


#: Sizes at which kernels change their path: vectors, warps, tiles, blocks, grids.
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
#: The dtypes of the wide ladder, in turn.
IN_TURN = ("float32", "float32", "bfloat16", "float32", "float16", "float32", "float64")


def wide_ladder() -> Iterator[tuple[str, Plan]]:
    """For more than quick effort: batch, channels, rows and planes below, at and above each size, ranks, layouts and dtypes in turn."""
    turn = 0
    for k, size in enumerate(SIZES):
        for near, extent in enumerate((size - 1, size, size + 1, size + size // 4)):
            for shape in _shapes_of(extent, k + near):
                rank = len(shape)
                last = rank > 2 and turn % 3 == 2
                laid = (shape[0], *shape[2:], shape[1]) if last else shape
                dtype = IN_TURN[turn % len(IN_TURN)]
                parameter = "float64" if dtype == "float64" else "float32"
                form = Form(laid, rank - 1 if last else 1, dtype, parameter)
                yield f"an extent of {extent}", ragged(form, forward=True)
                turn += 1
    for size in SIZES[:-2]:  # kernels that are made for so many channels, and for one place of these
        for form in (Form((3, size), 1), Form((2, size, 3, 1), 1), Form((2, 3, 1, size), 3)):
            yield f"{size} channels", ragged(form, forward=True)
    for shape in ((65536, 1), (1, 2, 256, 256), (1, 1, 331, 397), (1, 1, 1031, 1033)):
        yield "more than 16 bits count", ragged(Form(shape, 1), forward=True)


def _shapes_of(extent: int, turn: int) -> Iterator[tuple[int, ...]]:
    """Shapes, channels second, in which this is the extent of the batch, of the channels, of one axis of positions and of a plane."""
    yield ((extent, 2), (extent, 3, 2, 1), (extent, 2, 3), (extent, 2, 1, 2, 1))[turn % 4]
    yield ((3, extent), (2, extent, 2, 2), (2, extent, 3), (2, extent, 2, 1, 2))[turn % 4]
    yield ((2, 3, extent), (1, 2, 3, extent), (1, 2, extent, 2), (1, 2, 2, extent, 1))[turn % 4]
    height = next(h for h in range(int(extent**0.5), 0, -1) if extent % h == 0)
    yield (1, 2, height, extent // height)


def coincidences() -> Iterator[tuple[str, Plan]]:
    """Extents, contents and batches that coincide; terms beside which all others are small."""
    for shape, axis in COINCIDENT:
        plan = Plan(Form(shape, axis), "wide", cotangent="ramp", seed=72, short=True, forward=axis == 2)
        yield "extents that coincide", plan
    for form in (ROWS, IMAGE):
        yield "gamma with the bits of beta", Plan(form, "wide", "alike", gamma="beta", seed=144)
        yield "a second batch like the first", Plan(form, "exact", "alike", seed=145)
        yield "beta is nearly all of y", Plan(form, "ordinary", "mean_1e2", gamma="faint", seed=146)
        yield "the mean is nearly all of x", Plan(form, "mean_1e6", "mean_1e4", gamma="fine", seed=147)


def every_axis() -> Iterator[tuple[str, Plan]]:
    """Views reversed and stepped along each axis; packed arrays at unaligned addresses; one array for two."""
    for form in (TINY, IMAGE, IMAGE_LAST):
        for layout, other in zip(EVERY_AXIS, (*EVERY_AXIS[2:], *EVERY_AXIS[:2]), strict=True):
            yield (
                f"x {layout}, dy {other}",
                Plan(form, "wide", layout=layout, dy_layout=other, cotangent="ramp", seed=148, short=True),
            )
        yield "all arrays at unaligned addresses", Plan(form, "wide", cotangent="ramp", seed=149, unaligned=True)
        one = Plan(form, "wide", parameter_layout="one", seed=210, short=True, forward=True)
        yield "gamma and beta are one array", one
    in_half = in_dtype(IMAGE, "bfloat16")
    yield "bfloat16 x, all arrays at unaligned addresses", Plan(in_half, "wide", decay=0.5, seed=149, unaligned=True)


def layouts_in_other_dtypes() -> Iterator[tuple[str, Plan]]:
    """Views of x and dy in half and in double precision, whose kernels are others; and these at other ranks, and with the channels last."""
    forms = (*(in_dtype(IMAGE, dtype) for dtype in HALVES), in_float64(IMAGE))
    for form in forms:
        decay = 0.5 if form.dtype in HALVES else 0.75
        for layout in ("channels_last", "transposed", "stepped", "reversed", "fortran"):
            plan = Plan(form, "wide", layout=layout, dy_layout=layout, cotangent="ramp", decay=decay, seed=172)
            yield f"{form.dtype} x and dy {layout}", dataclasses.replace(plan, short=True, forward=True)
        for layout, other in (("fortran", "packed"), ("packed", "fortran"), ("transposed", "reversed")):
            plan = Plan(form, "wide", layout=layout, dy_layout=other, cotangent="ramp", decay=decay, seed=197)
            yield f"{form.dtype} x {layout}, dy {other}", dataclasses.replace(plan, short=True)
    others = (LINE, "float16"), (LINE_LAST, "bfloat16"), (VOLUME_LAST, "float16"), *((IMAGE_LAST, h) for h in HALVES)
    for form in (*(in_dtype(form, dtype) for form, dtype in others), in_float64(IMAGE_LAST)):
        decay = 0.5 if form.dtype in HALVES else 0.75
        plan = Plan(form, "wide", cotangent="ramp", decay=decay, seed=173, short=True, forward=True)
        yield f"{form.dtype} x, {'channels last' if form.channel_axis > 1 else 'sequences'}", plan


def odd_memory() -> Iterator[tuple[str, Plan]]:
    """Legal but rarely tested memory layouts: orders that coincide for an extent of 1, strides of 0, one array used twice."""
    shapes: tuple[tuple[int, ...], ...] = ((5, 1, 4, 3), (4, 3, 1, 1), (1, 3, 4, 1), (6, 1), (6, 4, 1))
    for shape in shapes:
        for one, other in (("channels_last", "loose"), ("loose", "channels_last"), ("loose", "stepped")):
            yield (
                f"an extent of 1: x {one}, dy {other}",
                Plan(Form(shape, 1), "wide", layout=one, dy_layout=other, seed=131, short=True),
            )
    for form in (TINY, IMAGE, IMAGE_LAST):
        for layout in ("packed", "channels_last") if form is IMAGE else ("packed",):
            yield "the cotangent of a sum", Plan(form, "wide", layout=layout, dy_layout="scalar", seed=132)
        yield "x is its own cotangent", Plan(form, "wide", cotangent="x", seed=133)
        yield "one gamma and one beta for all channels", Plan(form, "wide", parameter_layout="expanded", seed=133)
