"""Test vectors for edge cases: layouts, extents, dtypes, degenerate batches, special values; and input normalization."""

from __future__ import annotations

from collections.abc import Iterator

from bnspec.conformance.cases.building import Form, Plan, ScalingPlan
from bnspec.conformance.vectors.plan import BOTH, FORMS, VectorPlan, typed

NC, NCHW = FORMS["nc"], FORMS["nchw"]
AXES = {
    "ncl": Form((6, 4, 7), 1),
    "nlc": Form((6, 7, 4), 2),
    "nchw": NCHW,
    "nhwc": FORMS["nhwc"],
    "ncdhw": Form((3, 2, 4, 5, 7), 1),
    "ndhwc": Form((3, 4, 5, 7, 2), 4),
    "nhcw": Form((3, 4, 5, 2), 2),
}


def layout() -> Iterator[VectorPlan]:
    """The family layout."""
    for name, form in AXES.items():
        yield VectorPlan(
            "layout",
            f"axis_{name}",
            f"x of rank {len(form.shape)} with channel axis {form.channel_axis}, extents pairwise distinct.",
            ("layout.axis",),
            ("unusual_axis",),
            Plan(form, "wide", epsilon=2.0**-4, decay=0.5, cotangent="ramp", seed=71),
            BOTH,
        )


def extents() -> Iterator[VectorPlan]:
    """The family extents."""
    shapes = (
        (33, 31),
        (31, 33),
        (257, 2),
        (64, 65),
        (1025, 3),
        (3, 2, 11, 31),
        (2, 3, 8, 32),
        (1, 33, 8, 4),
        (1, 5, 129, 1),
    )
    for shape in shapes:
        yield VectorPlan(
            "extents",
            "x".join(map(str, shape)),
            "Counts or channels just around a power of two: the last block, and no more than it.",
            ("layout.extents",),
            ("block_edges",),
            Plan(Form(shape, 1), "wide", cotangent="ramp", seed=72),
            BOTH,
        )


def dtype() -> Iterator[VectorPlan]:
    """The family dtype."""
    family, half = "dtype", ("dtype.half_is_as_exact_as_declared", "dtype.results")
    for kind in ("float16", "bfloat16"):
        for parameter in ("float32", kind):
            form = typed(NCHW, kind, parameter)
            yield VectorPlan(
                family,
                f"{kind}_{parameter}_mean_1e2",
                "A mean of 100 standard deviations: sums in x's own precision lose it.",
                half,
                ("half", "large_mean"),
                Plan(form, "mean_1e2", state="like_x", epsilon=1e-3, seed=81),
                BOTH,
            )
            yield VectorPlan(
                family,
                f"{kind}_{parameter}_wide",
                "Ordinary half-precision data.",
                half,
                ("half",),
                Plan(form, "wide", cotangent="ramp", decay=0.5, seed=82),
                BOTH,
            )
        yield VectorPlan(
            family,
            f"{kind}_many",
            "More terms than the dtype counts: a sum or a count in it stops growing.",
            half,
            ("half",),
            Plan(typed(Form((2, 2, 129, 33), 1), kind, "float32"), "pixels", seed=83),
        )
    yield VectorPlan(
        family,
        "float64",
        "Double precision throughout, epsilon and decay included.",
        ("dtype.results", "training.output_is_stable"),
        ("ordinary",),
        Plan(typed(NCHW, "float64"), "mean_1e4", epsilon=1e-5, decay=0.9, seed=84),
        BOTH,
    )


def degenerate() -> Iterator[VectorPlan]:
    """The family degenerate."""
    ones: tuple[tuple[int, ...], ...] = ((1, 3), (1, 3, 1, 1))
    for shape in ones:
        yield VectorPlan(
            "degenerate",
            "one_value_" + "x".join(map(str, shape)),
            "One value per channel: refused, or y = beta and a tracked variance of 0.",
            ("degenerate.count_one", "degenerate.gradients_of_count_one"),
            ("one_value",),
            Plan(Form(shape, 1), seed=91),
        )
    empties: tuple[tuple[int, ...], ...] = ((0, 3), (0, 3, 5, 2))
    for shape in empties:
        yield VectorPlan(
            "degenerate",
            "empty_" + "x".join(map(str, shape)),
            "An empty batch: refused, or statistics that stay finite.",
            ("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"),
            ("empty",),
            Plan(Form(shape, 1), seed=92),
        )


def special() -> Iterator[VectorPlan]:
    """The family special."""
    family, apart = "special", ("special.channels_are_isolated",)
    for name, form in FORMS.items():
        yield VectorPlan(
            family,
            f"nan_{name}",
            "A NaN in one channel: all of that channel, and no other.",
            (*apart, "special.nan_is_not_hidden"),
            ("not_finite",),
            Plan(form, "nan", seed=101),
            BOTH,
        )
        yield VectorPlan(
            family,
            f"infinity_{name}",
            "An infinity in one channel: all of that channel is NaN, and no other.",
            (*apart, "special.infinity_is_not_hidden"),
            ("not_finite",),
            Plan(form, "infinite", seed=102),
            BOTH,
        )
    yield VectorPlan(
        family,
        "subnormal",
        "Values below the normal range: flushed to zero or not, never garbage.",
        ("training.finite",),
        ("subnormal",),
        Plan(NC, "subnormal", seed=103),
    )
    yield VectorPlan(
        family,
        "overflow",
        "y is beyond float16 in one channel: an infinity of its sign, and the others as ever.",
        ("training.output",),
        ("overflow", "half"),
        Plan(typed(NC, "float16", "float32"), "ordinary", seed=104),
        arrays={"gamma": (65504.0, -2.0, 0.5), "beta": (0.0, 1.0, -1.0)},
    )


def input_normalization() -> Iterator[VectorPlan]:
    """The family input."""
    family, form = "input", Form((16, 3), 1, affine=False)
    apply = ("input.transform", "input.inverse")
    yield VectorPlan(
        family,
        "whole",
        "The training set in one part, and unseen data.",
        ("input.fit", *apply),
        ("ordinary",),
        ScalingPlan(form, "wide", "ordinary", (16,), 111),
        (),
    )
    yield VectorPlan(
        family,
        "unequal_chunks",
        "Parts of 3, 1, 7 and 5 rows: means of means are wrong.",
        ("input.chunks_do_not_matter", *apply),
        ("chunks",),
        ScalingPlan(form, "wide", "ordinary", (3, 1, 7, 5), 112),
        (),
    )
    yield VectorPlan(
        family,
        "other_means",
        "Parts whose means differ: the spread between them counts.",
        ("input.chunks_do_not_matter",),
        ("chunks", "order"),
        ScalingPlan(form, "sorted", "wide", (8, 5, 3), 113),
        (),
    )
    yield VectorPlan(
        family,
        "empty_chunk",
        "A part without rows changes nothing.",
        ("input.empty_chunk_changes_nothing",),
        ("chunks", "empty"),
        ScalingPlan(form, "ordinary", "wide", (7, 0, 9), 114),
        (),
    )
    yield VectorPlan(
        family,
        "large_mean",
        "Large means: sums of squares cancel.",
        ("input.fit_is_stable",),
        ("chunks", "large_mean"),
        ScalingPlan(form, "mean_1e4", "mean_1e2", (5, 11), 115),
        (),
    )
    yield VectorPlan(
        family,
        "constant_feature",
        "Features that do not vary: finite, and 0 or near it at the training value.",
        ("input.constant_feature_is_finite",),
        ("constant_channel",),
        ScalingPlan(form, "constant", "ordinary", (5, 11), 116),
        (),
    )
    yield VectorPlan(
        family,
        "float64",
        "Double precision and a mean of 1,000,000 standard deviations.",
        ("input.fit_is_stable", *apply),
        ("large_mean",),
        ScalingPlan(typed(form, "float64"), "mean_1e6", "wide", (5, 11), 117),
        (),
    )
