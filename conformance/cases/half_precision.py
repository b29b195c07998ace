"""Constructed cases in half precision: constants that it rounds or flushes, and scalers whose statistics it cannot hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from bnspec.conformance.cases.building import Form, Plan, ScalingPlan, input_norm_case
from bnspec.conformance.cases.forms import IMAGE, TINY, in_dtype
from bnspec.model.case import Case

#: An epsilon that float16 flushes to 0, and a decay of four digits that bfloat16 rounds to 1.
SMALL_EPSILON, LONG_DECAY = 1e-8, 0.9997
HALVES = ("float16", "bfloat16")


def half_plans() -> Iterator[tuple[str, Plan]]:
    """(purpose, plan): the constants of a layer in half precision."""
    for dtype in HALVES:
        for parameter in ("float32", dtype):
            form = in_dtype(IMAGE, dtype, parameter)
            yield (
                f"{dtype} x, {parameter} parameters, constants that half precision does not hold",
                Plan(form, "constant", epsilon=SMALL_EPSILON, decay=LONG_DECAY, gamma="fine", seed=161, short=True),
            )
        form = in_dtype(IMAGE, dtype)
        # bfloat16 has float32's range: what goes through float16 there is an infinity or 0
        yield f"{dtype} x, huge", Plan(form, "huge", decay=0.5, seed=210, short=True, forward=True)
        tiny = Plan(form, "tiny", epsilon=0.0, decay=0.5, state="vanishing", seed=210, short=True, forward=True)
        yield f"{dtype} x, tiny, no epsilon", tiny
        for kind in ("nan", "infinite", "specials", "outlier"):
            yield f"{dtype} x, values: {kind}", Plan(form, kind, decay=0.5, seed=195, short=True, forward=True)
        for kind in ("large", "tiny"):
            yield f"{dtype} x, a cotangent that is {kind}", Plan(form, "wide", cotangent=kind, decay=0.5, seed=196)
        yield (  # of some layers rank 4 has other kernels, which half precision does not reach
            f"{dtype} x and parameters at rank 2, constants that half precision does not hold",
            Plan(
                in_dtype(TINY, dtype, dtype),
                "wide",
                epsilon=SMALL_EPSILON,
                decay=LONG_DECAY,
                seed=194,
                short=True,
                forward=True,
            ),
        )


def half_fits() -> Iterator[tuple[str, Case]]:
    """(purpose, case) of input normalization in half precision: beyond its range, and below it."""
    for dtype in HALVES:
        form = Form((16, 3), 1, dtype, affine=False)
        for kind in ("mean_1e2", "tiny"):
            yield f"in {dtype}: {kind}", input_norm_case(ScalingPlan(form, kind, "wide", (5, 11), 171))
    form = Form((16, 3), 1, "float16", affine=False)
    wide = input_norm_case(ScalingPlan(form, "wide", "wide", (5, 11), 172))
    yield "in float16: a variance beyond 65,504", moved(wide, 16.0, 0.0)
    ends = input_norm_case(ScalingPlan(form, "bimodal", "bimodal", (5, 11), 173))
    yield "in float16: two clusters whose distance exceeds 65,504", moved(ends, 1500.0, -45000.0)


def moved(case: Case, factor: float, term: float) -> Case:
    """The case with all its data times ``factor`` plus ``term``; normal values stay."""
    data = {n: a for n, a in case.arrays.items() if n not in ("normal", "origin")}
    arrays = {n: (a.astype(np.float64) * factor + term).astype(a.dtype) for n, a in data.items()}
    return dataclasses.replace(case, arrays={**case.arrays, **arrays})
