"""Constructed cases of extents and of memory: large counts, sizes of blocks, what coincides, views, unaligned and shared arrays."""

from __future__ import annotations

from collections.abc import Iterator

from bnspec.conformance.cases.building import Form, Plan
from bnspec.conformance.cases.forms import IMAGE, IMAGE_LAST, ROWS, TINY, in_dtype
from bnspec.conformance.cases.layouts import EVERY_AXIS


def large_counts() -> Iterator[tuple[str, Plan]]:
    """Counts and means at which float32 sums that grow slowly keep digits, and sums of one value after the other lose them."""
    rows = Form((20011, 2), 1)
    yield "digits of sums over many rows", Plan(rows, "mean_1e4", decay=0.0, seed=151, short=True)
    image, image_last = Form((8, 2, 31, 33), 1), Form((8, 31, 33, 2), 3)
    yield (
        "digits of sums over many pixels, in memory with the channels last",
        Plan(image, "mean_1e6", layout="channels_last", dy_layout="channels_last", decay=0.0, seed=152, short=True),
    )
    yield (
        "digits of sums over many pixels, channels last",
        Plan(image_last, "mean_1e6", decay=0.0, seed=152, short=True),
    )
    few = Form((5003, 2), 1)
    yield "digits of sums, a mean of a million", Plan(few, "mean_1e6", decay=0.0, seed=153, short=True)


#: (shape, channel axis) around the sizes of blocks, tiles, planes and grids, with few elements: kernels change their path there.
LADDER: tuple[tuple[tuple[int, ...], int], ...] = (
    ((33, 31), 1),
    ((31, 33), 1),
    ((64, 65), 1),
    ((1025, 3), 1),
    ((3, 257), 1),
    ((255, 1), 1),
    ((3, 2, 11, 31), 1),
    ((1, 33, 8, 4), 1),
    ((2, 2, 25, 41), 1),  # planes of 1,025: odd
    ((1, 25, 41, 3), 3),
    ((1, 2, 41, 103), 1),  # planes of 4,223: odd
    ((1, 46, 91, 2), 3),  # planes of 4,186: even, not a multiple of 4
    ((2, 3, 147), 1),
    ((2, 147, 3), 2),
    ((2, 131, 3, 1), 1),
    ((2, 1, 3, 131), 3),
    ((1, 2, 5, 13, 17), 1),  # 1,105 positions
)
#: (shape, channel axis) whose extents coincide: what finds an axis by its extent finds another one.
COINCIDENT: tuple[tuple[tuple[int, ...], int], ...] = (
    ((4, 4), 1),
    ((5, 3, 2, 3), 1),  # channels, last extent
    ((3, 3, 2, 5), 1),  # channels, batch
    ((4, 4, 4), 1),
    ((4, 2, 4, 3, 4), 1),  # batch, first and last position
    ((3, 2, 5, 3), 3),  # channels, batch
)


def ladder() -> Iterator[tuple[str, Plan]]:
    """Extents around the sizes of blocks."""
    for shape, axis in LADDER:
        x, dy = ("tail", "tail") if len(shape) > 2 else ("wide", "ramp")
        yield "extents around blocks", Plan(Form(shape, axis), x, cotangent=dy, seed=71, short=True)


def coincidences() -> Iterator[tuple[str, Plan]]:
    """Extents, contents and batches that coincide; terms beside which all others are small."""
    for shape, axis in COINCIDENT:
        yield "extents that coincide", Plan(Form(shape, axis), "wide", cotangent="ramp", seed=72, short=True)
    for form in (ROWS, IMAGE):
        yield "gamma with the bits of beta", Plan(form, "wide", "alike", gamma="beta", seed=144)
        yield "a second batch like the first", Plan(form, "exact", "alike", seed=145)
        yield "beta is nearly all of y", Plan(form, "ordinary", "mean_1e2", gamma="faint", seed=146)
        yield "the mean is nearly all of x", Plan(form, "mean_1e6", "mean_1e4", gamma="fine", seed=147)


def every_axis() -> Iterator[tuple[str, Plan]]:
    """Views reversed and stepped along each axis; packed arrays at unaligned addresses."""
    for form in (TINY, IMAGE, IMAGE_LAST):
        for layout, other in zip(EVERY_AXIS, (*EVERY_AXIS[2:], *EVERY_AXIS[:2]), strict=True):
            yield (
                f"x {layout}, dy {other}",
                Plan(form, "wide", layout=layout, dy_layout=other, cotangent="ramp", seed=148, short=True),
            )
        yield "x and dy at unaligned addresses", Plan(form, "wide", cotangent="ramp", seed=149, unaligned=True)
    in_half = in_dtype(IMAGE, "bfloat16")
    yield "bfloat16 x and dy at unaligned addresses", Plan(in_half, "wide", decay=0.5, seed=149, unaligned=True)


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
