"""The catalogue: constructed hard cases, each with its purpose, that every run contains.

The cases share few programs, because XLA backends compile slowly. A form costs six programs, two where the case is short; where
epsilon and decay are constants of the compiled program (Flax, Keras), every other pair of them costs as much again. So extreme
epsilons and decays come in pairs. The catalogue guarantees coverage; the generator widens it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bnspec.conformance.cases.building import Form, Plan, ScalingPlan, batch_norm_case, input_norm_case
from bnspec.conformance.cases.extents_and_memory import (
    coincidences,
    every_axis,
    ladder,
    layouts_in_other_dtypes,
    odd_memory,
    wide_ladder,
)
from bnspec.conformance.cases.forms import (
    IMAGE,
    IMAGE_LAST,
    LINE,
    LINE_LAST,
    MIDDLE,
    ROWS,
    SMALL,
    TINY,
    VOLUME,
    VOLUME_LAST,
    in_dtype,
    in_float64,
)
from bnspec.conformance.cases.half_precision import LONG_DECAY, half_fits, half_plans, moved
from bnspec.conformance.cases.large_counts import large_counts
from bnspec.conformance.cases.layouts import EVERY_AXIS, LAYOUTS
from bnspec.conformance.cases.many_channels import more_samples, samples
from bnspec.conformance.cases.optional_calls import more_optional_calls, optional_calls
from bnspec.conformance.cases.programs import (
    LARGE,
    integer_fit_case,
    missing_case,
    repeated_fit_case,
    scaling_relation_case,
    unfitted_case,
    vast_fit_case,
)
from bnspec.model.case import Case

#: Layers of real networks at small batches: a squeeze-and-excitation gate of rexnet_100, a linear layer of levit_128, convolutions
#: of hrnet_w18, densenet121 and maml_omniglot, and the standardised weights of nfnet_l0. Shapes as traced by tritonbench.
REAL: tuple[tuple[int, ...], ...] = (
    (8, 87, 1, 1),
    (16, 384),
    (4, 36, 7, 7),
    (2, 128, 7, 7),
    (5, 64, 3, 3),
    (1, 32, 144),
)


def batch_norm_plans() -> Iterator[tuple[str, Plan]]:
    """(purpose, plan), the most revealing first."""
    for form in (TINY, IMAGE):
        yield "a plain case: everything distinct, nothing default", Plan(form, seed=11)
        yield (
            "epsilon far above the variance: where it stands",
            Plan(form, "narrow", epsilon=1.0, decay=0.0, state="like_x", seed=12),
        )
        yield "decay 0: the batch statistics bare", Plan(form, "wide", epsilon=1.0, decay=0.0, seed=13)
        yield "decay 1: nothing may move", Plan(form, epsilon=1e-12, decay=1.0, cotangent="constant", seed=14)
        yield "a tiny epsilon that counts", Plan(form, "like_epsilon", epsilon=SMALL, state="like_epsilon", seed=15)
        yield (
            "an epsilon below 1e-5 on constant channels",
            Plan(form, "constant", epsilon=1e-12, decay=1.0, state="like_epsilon", seed=16),
        )
        bare_tiny = Plan(form, "tiny", epsilon=1.0, decay=0.0, state="null", seed=176, short=True)
        yield "decay 0: a tiny variance bare", bare_tiny
        yield "constant channels beside a large epsilon", Plan(form, "constant", epsilon=1.0, decay=0.0, seed=27)
        yield "cancellation", Plan(form, "mean_1e4", state="like_x", seed=17)
        yield (
            "a constant cotangent: the null space of dx",
            Plan(form, "narrow", cotangent="constant", gamma="zeros", seed=18),
        )
    yield "channels last", Plan(IMAGE_LAST, seed=11)
    yield "channels last: cancellation", Plan(IMAGE_LAST, "mean_1e4", state="like_x", gamma="zeros", seed=17)
    yield (
        "channels last: a tiny epsilon that counts",
        Plan(IMAGE_LAST, "like_epsilon", epsilon=SMALL, decay=0.0, state="like_epsilon", cotangent="constant", seed=15),
    )
    yield (
        "channels last: epsilon far above the variance",
        Plan(IMAGE_LAST, "narrow", epsilon=1.0, decay=1.0, state="like_x", seed=12),
    )
    for form in (ROWS, LINE, LINE_LAST, VOLUME, VOLUME_LAST, MIDDLE):
        epsilon, decay = (2.0**-10, 0.75) if form is ROWS else (2.0**-4, 0.5)
        plan = Plan(form, "wide", epsilon=epsilon, decay=decay, cotangent="ramp", seed=21)
        far = Plan(form, "mean_1e4", "narrow", epsilon=epsilon, decay=decay, seed=22)
        for purpose, at in (("this rank and axis", plan), ("this rank and axis, with a large mean", far)):
            yield purpose, at if form is ROWS else dataclasses.replace(at, short=True, forward=True)
    for layout in [x for x in LAYOUTS[1:] if x not in EVERY_AXIS]:
        other = "packed" if layout in ("expanded", "stepped") else layout
        yield f"x {layout}", Plan(IMAGE, "wide", layout=layout, dy_layout=other, seed=31)
        yield f"x {layout}, dy packed", Plan(IMAGE, "wide", layout=layout, cotangent="ramp", seed=33)
        if layout != "expanded":
            yield f"x packed, dy {layout}", Plan(IMAGE, "ordinary", dy_layout=layout, seed=32)
    for kind in (
        "mean_1e2",
        "mean_1e6",
        "near_constant",
        "huge",
        "tiny",
        "subnormal",
        "exact",
        "outlier",
        "sorted",
        "alternating",
        "mixed_scales",
        "spike",
        "bimodal",
    ):
        yield f"values: {kind}", Plan(ROWS, kind, seed=41)
        yield f"values: {kind}, in float64", Plan(in_float64(ROWS), kind, seed=42, short=True, forward=True)
    for kind in ("nan", "infinite"):
        for form in (TINY, IMAGE):
            yield f"{kind} in one channel", Plan(form, kind, seed=43)
    for form in (TINY, IMAGE):
        bare = dataclasses.replace(form, affine=False)
        short = form is TINY
        yield "no gamma and beta", Plan(bare, "wide", epsilon=2.0**-4, seed=51, short=short)
        yield (
            "no gamma and beta, tiny epsilon",
            Plan(bare, "narrow", epsilon=1e-5, cotangent="constant", seed=52, short=True),
        )
    for dtype in ("float16", "bfloat16"):
        for parameter in ("float32", dtype):
            for form in (in_dtype(IMAGE, dtype, parameter), in_dtype(ROWS, dtype, parameter)):
                short = len(form.shape) == 2 or parameter == dtype
                yield (
                    f"{dtype} x, {parameter} parameters",
                    Plan(form, "mean_1e2", state="extreme", decay=0.5, seed=61, short=short),
                )
                yield (
                    f"{dtype} x, {parameter} parameters, wide",
                    Plan(form, "wide", cotangent="ramp", decay=0.5, gamma="fine", seed=62, short=short),
                )
            for kind in ("ordinary", "alternating", "narrow"):
                form = in_dtype(IMAGE, dtype, parameter)
                yield (
                    f"{dtype} x, {parameter} parameters, {kind}",
                    Plan(form, kind, decay=0.5, seed=66, short=parameter == dtype),
                )
        bare = dataclasses.replace(in_dtype(IMAGE, dtype), affine=False)
        yield f"{dtype} x without gamma and beta", Plan(bare, "wide", seed=63, short=True)
    for parameter in ("float32", "half"):
        for dtype, what, seed in (("float16", "counts, a sum beyond 65,504", 64), ("bfloat16", "counts", 65)):
            form = in_dtype(Form((2, 2, 129, 33), 1), dtype, dtype if parameter == "half" else parameter)
            yield f"more terms than {dtype} {what}, {parameter} parameters", Plan(form, "pixels", seed=seed, short=True)
    yield from half_plans()
    yield from layouts_in_other_dtypes()
    yield from ladder()
    yield from coincidences()
    yield "a count that float16 cannot hold", Plan(in_dtype(Form((2049, 2), 1), "float16"), "wide", seed=78, short=True)
    yield (
        "more values than 15 bits count, in float64",  # a sign takes one
        Plan(in_float64(Form((40961, 1), 1)), "wide", seed=79, short=True),
    )
    yield (
        "more values than 16 bits count, in float64",
        Plan(in_float64(Form((65537, 1), 1)), "wide", seed=79, short=True),
    )
    for form in (Form((3, 4), 0), Form((3, 4, 5, 2), 0)):
        short = len(form.shape) == 2
        yield "channels before the batch", Plan(form, "wide", epsilon=2.0**-4, cotangent="ramp", seed=23, short=short)
    for form in (Form((6, 1), 1), Form((4, 1, 5, 2), 1)):
        yield "one channel", Plan(form, "wide", seed=24, short=len(form.shape) > 2)
    yield (
        "constants that no float32 holds",
        Plan(in_float64(IMAGE), "narrow", epsilon=1e-3, decay=0.9, gamma="fine", seed=25),
    )
    yield (
        "constants that no half precision holds",
        Plan(IMAGE, "wide", epsilon=1e-3, decay=LONG_DECAY, gamma="fine", seed=26),
    )
    yield "more values than 16 bits count", Plan(Form((65537, 1), 1), "wide", cotangent="ramp", seed=75, short=True)
    yield "more channels than 16 bits count", Plan(Form((2, 65537), 1), "wide", seed=76, short=True)
    yield "many values", Plan(Form((7, 3, 41, 17), 1), "mean_1e4", state="like_x", seed=73, short=True)
    yield "values far outside", Plan(Form((7, 3, 41, 17), 1), "outlier", cotangent="ramp", seed=174, short=True)
    yield "many values, channels last", Plan(Form((7, 41, 17, 3), 3), "mean_1e4", state="like_x", seed=74, short=True)
    singles: tuple[tuple[int, ...], ...] = ((1, 3), (1, 3, 1, 1), (1, 3, 1), (1, 3, 1, 1, 1))
    for shape in singles:
        yield "one value per channel", Plan(Form(shape, 1), seed=81, short=len(shape) % 2 == 1, forward=True)
        yield (
            "one value per channel, tiny epsilon",
            Plan(Form(shape, 1), "wide", epsilon=1e-12, decay=0.0, seed=82, short=True),
        )
    yield "one value per channel, channels last", Plan(Form((1, 1, 1, 3), 3), seed=83, short=True)
    empties: tuple[tuple[int, ...], ...] = ((0, 3), (0, 3, 5, 2), (4, 3, 0, 2), (2, 3, 0))
    for shape in empties:
        yield "an empty batch", Plan(Form(shape, 1), seed=84, short=len(shape) == 3)
    yield "an empty batch, small variances", Plan(Form((0, 3, 5, 2), 1), state="like_epsilon", seed=84)
    yield "an empty batch, channels last", Plan(Form((0, 5, 2, 3), 3), seed=85, short=True)
    for form in (TINY, IMAGE):
        yield "parameters in the memory of the running statistics", Plan(form, "wide", seed=93, shared=True)
    for form in (TINY, IMAGE, IMAGE_LAST):
        yield "parameters and state that are views", Plan(form, "wide", parameter_layout="stepped", seed=94)
        yield "poisoned statistics in some channels", Plan(form, "wide", state="poisoned", seed=95)
    for kind in ("normalised", "large", "tiny", "zeros", "nan"):
        yield f"a cotangent that is {kind}", Plan(IMAGE, "wide", cotangent=kind, gamma="scales", seed=96)
        yield f"a cotangent that is {kind}, channels last", Plan(IMAGE_LAST, "wide", cotangent=kind, seed=96)
    yield from odd_memory()
    yield from every_axis()
    for form in (TINY, IMAGE):
        yield "a gamma that is NaN in one channel", Plan(form, "wide", gamma="poisoned", seed=134)
        yield "a cotangent with an infinity in one channel", Plan(form, "wide", cotangent="infinite", seed=135)
        yield "running variances of 0", Plan(form, "wide", state="zero", seed=136)
        # a parameter that is neutral, where a kernel may leave out the operation, and with it another one
        yield "no shift", Plan(form, "wide", gamma="no_beta", state="centred", seed=155)
        yield "no scale", Plan(form, "wide", gamma="ones", state="unit", seed=155)
        yield "an epsilon above 1", Plan(form, "wide", epsilon=4.0 if form is TINY else 1024.0, seed=156)
        for gamma in ("negative", "positive", "equal", "none", "infinite", "spoiled_beta"):
            yield f"gamma and beta: {gamma}", Plan(form, "wide", gamma=gamma, seed=158, short=True, forward=True)
        for state in ("below", "equal"):
            yield f"statistics: {state}", Plan(form, "wide", state=state, seed=184, short=True, forward=True)
        yield "a variance of NaN, an infinite mean", Plan(form, "wide", state="spoiled", seed=159)
    for form in (TINY, IMAGE, IMAGE_LAST):
        for kind in ("negative", "rectified", "zeros", "specials"):
            yield f"values: {kind}", Plan(form, kind, seed=160, short=True, forward=True)
    yield "the epsilon and decay of PyTorch", Plan(IMAGE, "wide", epsilon=1e-5, decay=0.9, seed=161)
    yield "the epsilon and decay of Keras", Plan(IMAGE_LAST, "wide", epsilon=1e-3, decay=0.99, seed=161)
    for decay in (1.0 - 2.0**-24, 2.0**-24):
        yield "a decay one rounding away from 0 or 1", Plan(TINY, "wide", decay=decay, seed=137, short=True)
    yield "six axes", Plan(Form((2, 3, 4, 1, 5, 1), 1), "wide", seed=138, short=True)
    for kind in ("wide", "tiny"):
        yield f"no epsilon, {kind}", Plan(IMAGE, kind, epsilon=0.0, seed=97, short=True)
    yield (
        "no epsilon, vanishing statistics",
        Plan(IMAGE, "tiny", epsilon=0.0, state="vanishing", seed=198, short=True, forward=True),
    )
    doubles = Plan(in_float64(ROWS), "tiny", epsilon=0.0, decay=0.0, state="vanishing", seed=210, short=True)
    yield "no epsilon, tiny, in float64", dataclasses.replace(doubles, forward=True)
    bare = dataclasses.replace(IMAGE, affine=False)
    yield "nothing to do", Plan(bare, "wide", state="initial", epsilon=0.0, seed=186, short=True, forward=True)
    for kind in ("ordinary", "exact", "alternating", "constant"):
        cotangent = "random" if kind == "constant" else "constant"
        yield f"no gamma and beta, {kind}", Plan(bare, kind, epsilon=2.0**-4, cotangent=cotangent, seed=53)
    yield "no gamma and beta, decay 1", Plan(bare, "wide", decay=1.0, seed=199)
    yield "no gamma and beta, small statistics", Plan(bare, "narrow", epsilon=2.0**-4, state="like_epsilon", seed=54)
    for kind in ("nan", "infinite", "large"):
        yield f"a cotangent that is {kind}, few values", Plan(TINY, "ordinary", cotangent=kind, seed=98)
    for kind in ("nan", "infinite"):
        yield f"{kind} in one channel, channels last", Plan(IMAGE_LAST, kind, seed=43)
    yield "an initial state of 0 and 1", Plan(IMAGE, "wide", state="initial", seed=91)
    yield "a small running variance", Plan(IMAGE, "ordinary", state="extreme", epsilon=1e-12, decay=1.0, seed=92)


def scaling_plans() -> Iterator[tuple[str, ScalingPlan]]:
    """(purpose, plan) of input normalization."""
    form = Form((16, 3), 1, affine=False)
    yield "one chunk", ScalingPlan(form, "wide", "ordinary", (16,), 101)
    yield "unequal chunks", ScalingPlan(form, "wide", "ordinary", (3, 1, 7, 5), 102)
    yield "more chunks than a hand counts", ScalingPlan(form, "wide", "ordinary", (3, 1, 1, 3, 1, 3, 1, 3), 112)
    for dtype in ("float16", "bfloat16"):
        half = dataclasses.replace(form, dtype=dtype)
        yield f"in {dtype}", ScalingPlan(half, "wide", "ordinary", (5, 11), 113)
    # kernels work in blocks of 32, 64, ..., and what is left of a chunk beyond them is a path of its own
    ragged = Form((135, 3), 1, affine=False)
    yield "chunks that no block divides", ScalingPlan(ragged, "wide", "ordinary", (67, 33, 35), 114)
    yield "a large set in one chunk", ScalingPlan(Form((2049, 2), 1, affine=False), "wide", "ordinary", (2049,), 115)
    yield "a large set and a remainder", ScalingPlan(Form((1031, 2), 1, affine=False), "sorted", "wide", (1024, 7), 116)
    yield "chunks with other means", ScalingPlan(form, "sorted", "wide", (5, 7, 3, 1), 103)
    yield (
        "chunks without rows, the first and the last too",
        ScalingPlan(form, "ordinary", "wide", (0, 5, 0, 11, 0), 104),
    )
    yield "large means", ScalingPlan(form, "mean_1e4", "mean_1e2", (5, 11), 105)
    yield "constant features", ScalingPlan(form, "constant", "ordinary", (5, 11), 106)
    wide = dataclasses.replace(form, dtype="float64", parameter_dtype="float64")
    yield "constant features in float64", ScalingPlan(wide, "constant", "ordinary", (5, 11), 182)
    yield "small spreads in float64", ScalingPlan(wide, "tiny", "ordinary", (5, 11), 210)
    yield "nearly constant features", ScalingPlan(form, "near_constant", "ordinary", (5, 11), 107)
    yield "far outliers", ScalingPlan(ragged, "outlier", "wide", (135,), 120)
    yield "one row", ScalingPlan(Form((1, 3), 1, affine=False), "wide", "ordinary", (1,), 121)
    for layout in ("transposed", "stepped", "reversed"):
        yield f"chunks and data {layout}", ScalingPlan(form, "wide", "ordinary", (5, 11), 122, layout)
    yield "equal chunks", ScalingPlan(form, "sorted", "wide", (4, 4, 8), 187)
    yield "many chunks", ScalingPlan(form, "sorted", "wide", (2, *[1] * 14), 200)
    yield "features that are constant in a chunk", ScalingPlan(form, "spike", "ordinary", (8, 8), 200)
    yield "large equal chunks", ScalingPlan(Form((1024, 2), 1, affine=False), "sorted", "wide", (512, 512), 193)
    for chunks in ((2049, 11), (11, 2049)):  # 2,049 is a count that float16 cannot hold
        yield (
            "a chunk of a few beside one of many rows",
            ScalingPlan(Form((2060, 2), 1, affine=False), "sorted", "wide", chunks, 210),
        )
    yield "many features", ScalingPlan(Form((9, 37), 1, affine=False), "wide", "ordinary", (5, 4), 188)
    yield "nothing to do", ScalingPlan(form, "signs", "signs", (8, 8), 189)
    yield "small spreads", ScalingPlan(form, "tiny", "ordinary", (5, 11), 108)
    images = Form((6, 4, 3, 3), 3, affine=False)
    yield "images, channels last", ScalingPlan(images, "wide", "ordinary", (2, 4), 110)
    lines = Form((6, 3, 7), 1, affine=False)
    yield "sequences, channels first", ScalingPlan(lines, "sorted", "wide", (1, 3, 2), 118)
    yield "images, channels first", ScalingPlan(Form((6, 3, 4, 5), 1, affine=False), "mean_1e2", "wide", (2, 3, 1), 111)
    yield (
        "in float64",
        ScalingPlan(wide, "mean_1e6", "wide", (5, 11), 109),
    )


def large_cases() -> Iterator[Case]:
    """Cases for more than quick effort: training sets as large as users fit in one call, optional calls on other forms, extents."""
    for kind in ("mean_1e4", "wide"):
        case = input_norm_case(ScalingPlan(Form((100_000, 2), 1, affine=False), kind, "wide", (100_000,), 117))
        yield case.with_(origin={**case.origin, "purpose": "a training set of 100,000 rows in one array"})
    yield from more_samples()
    for purpose, case in more_optional_calls():
        yield case.with_(origin={**case.origin, "purpose": purpose})
    real = (
        ("a layer of a real network", Plan(Form(shape, 1), "wide", "ordinary", seed=77, short=True)) for shape in REAL
    )
    for purpose, plan in (*real, *wide_ladder()):
        case = batch_norm_case(plan)
        yield case.with_(origin={**case.origin, "purpose": purpose})


def large_fits() -> Iterator[tuple[str, Case]]:
    """(purpose, case) of a fit alone, over many rows in one chunk: an array, not a stream."""
    form = Form((20011, 2), 1, affine=False)
    case = input_norm_case(ScalingPlan(form, "mean_1e4", "ordinary", form.shape[:1], 154))
    yield "digits of a fit over many rows", case.with_(arrays={"chunk0": case.arrays["chunk0"]}, steps=case.steps[:1])


def catalogue() -> list[Case]:
    """All constructed cases, each with its purpose."""
    cases = []
    for purpose, plan in batch_norm_plans():
        case = batch_norm_case(plan)
        cases.append(case.with_(origin={**case.origin, "purpose": purpose}))
    for purpose, case in optional_calls():
        cases.append(case.with_(origin={**case.origin, "purpose": purpose}))
    for purpose, case in (*large_fits(), *half_fits()):
        cases.append(case.with_(origin={**case.origin, "purpose": purpose}))
    for purpose, scaling in scaling_plans():
        case = input_norm_case(scaling)
        cases.append(case.with_(origin={**case.origin, "purpose": purpose}))
        if scaling.form == Form((16, 3), 1, affine=False) and scaling.layout == "packed":
            case = scaling_relation_case(scaling)
            cases.append(
                case.with_(origin={**case.origin, "purpose": purpose + "; reordered, in other units, far away"})
            )
    for form in (Form((16, 3), 1, affine=False), Form((6, 4, 3, 3), 3, affine=False)):
        case = missing_case(ScalingPlan(form, "wide", "ordinary", (1, 3, form.shape[0] - 4), 165))
        cases.append(case.with_(origin={**case.origin, "purpose": "missing values"}))
    tall = Form((16, 3), 1, affine=False)
    case = repeated_fit_case(ScalingPlan(tall, "sorted", "wide", (5, 11), 201))
    cases.append(case.with_(origin={**case.origin, "purpose": "one chunk twice in turn"}))
    integers = ScalingPlan(Form((300, 3), 1, affine=False), "pixels", "ordinary", (290, 10), 169)
    for purpose, case in (
        ("a training set of integers", integer_fit_case(integers)),
        ("a training set of integers beyond 16 bits", integer_fit_case(integers, LARGE)),
        (
            "constant features below 0",
            moved(input_norm_case(ScalingPlan(tall, "constant", "ordinary", (5, 11), 106)), -1.0, 0.0),
        ),
    ):
        cases.append(case.with_(origin={**case.origin, "purpose": purpose}))
    for dtype, factor in (("float32", 2.0**80), ("float64", 2.0**600)):
        form = Form((16, 3), 1, affine=False, dtype=dtype, parameter_dtype=dtype)
        case = vast_fit_case(ScalingPlan(form, "alternating", "ordinary", (16,), 181), factor)
        cases.append(case.with_(origin={**case.origin, "purpose": f"squares beyond the range of {dtype}"}))
    case = unfitted_case(ScalingPlan(Form((16, 3), 1, affine=False), "wide", "ordinary", (5, 11), 167))
    cases.append(case.with_(origin={**case.origin, "purpose": "a transform before any fit"}))
    cases.extend(large_counts())
    cases.extend(samples())
    return cases
