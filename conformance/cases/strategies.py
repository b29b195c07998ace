"""Hypothesis strategies for cases. Use ``given(cases())`` in your own tests; a run draws its pool with ``draw``.

Design rules, each motivated by defects that escaped a project's own tests: extents are pairwise distinct, which shows swapped
axes, or coincide, which shows an axis that is guessed by its extent; some lie around the sizes at which kernels change, from 32
to 4,096; parameters and state are never the defaults; epsilon reaches the size of the variance; counts go down to 2; every mode, layout and dtype is a
separate path; cotangents are random and constant.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import hypothesis
from hypothesis import strategies as st

from bnspec.conformance.cases.building import Form, Plan, ScalingPlan, batch_norm_case, input_norm_case
from bnspec.conformance.cases.layouts import DY_LAYOUTS, LAYOUTS
from bnspec.conformance.cases.programs import derivative_case, long_case, masked_case, relation_case
from bnspec.conformance.cases.values import COTANGENTS, INPUT_TYPES
from bnspec.model.case import Case
from bnspec.model.conventions import HALVES

T = TypeVar("T")

EPSILONS = (2.0**-10, 1e-5, 1e-3, 2.0**-4, 1.0, 4.0, 2.0**-17, 2.0**-23, 1e-12)
DECAYS = (0.75, 0.9, 0.5, 0.99, 0.0, 1.0, 0.875, 0.9997, 1.0 - 2.0**-24, 2.0**-24)
CHANNELS = (3, 2, 5, 1, 7, 8, 4, 31, 32, 33)
BATCHES = (2, 4, 3, 6, 9, 16, 17, 64)
SPATIAL = (3, 2, 4, 5, 7, 1, 8, 9, 13)
#: The largest number of elements of x: keeps the oracle at a few milliseconds and a case printable.
ELEMENTS = 6000
#: Sizes of blocks, tiles, planes and grids; a form around one of them has at most this many elements.
BLOCKS, BLOCK_ELEMENTS = (32, 64, 128, 144, 256, 512, 1024, 2048, 4096), 20_000
#: Distances from a block: below, at and above; odd and even; multiples of 2, 4, 8 and 16 and of none.
BESIDE = (1, -1, 0, 2, 3, 4, 5, 8, 16, -2, 17)
#: Hypothesis tries constants of the modules that happen to be imported: seeds are out of their range, so that runs agree.
SEEDS = st.integers(10**9, 10**9 + 2**31)

X_TYPES = tuple(t.name for t in INPUT_TYPES)
#: Input types with ordinary statistics, used for the second batch and new data.
ORDINARY = ("wide", "ordinary", "narrow", "mean_1e2", "exact", "pixels")


def distinct_shapes(draw: st.DrawFn, rank: int) -> list[int]:
    """Channels, batch and spatial extents, pairwise distinct."""
    channels = draw(st.sampled_from(CHANNELS))
    batch = draw(st.sampled_from([n for n in BATCHES if n != channels]))
    taken, spatial = {channels, batch}, []
    for _ in range(rank - 2):
        spatial.append(draw(st.sampled_from([n for n in SPATIAL if n not in taken])))
        taken.add(spatial[-1])
    while batch * channels * math.prod(spatial) > ELEMENTS and spatial:
        spatial[spatial.index(max(spatial))] = 1
    return [channels, batch, *spatial]


def coincident_shapes(draw: st.DrawFn, rank: int) -> list[int]:
    """Channels, batch and spatial extents of which at least two are equal: all, or two places."""
    extents = [draw(st.sampled_from((3, 4, 5, 2, 6))) for _ in range(rank)]
    first, second = draw(st.lists(st.integers(0, rank - 1), min_size=2, max_size=2, unique=True))
    extents[second] = extents[first]
    return [extents[0]] * rank if draw(st.integers(0, 3)) == 0 else extents


def block_shapes(draw: st.DrawFn, rank: int) -> list[int]:
    """Channels, batch and spatial extents of which one, or the product of the last two, lies around the size of a block."""
    size = draw(st.sampled_from(BLOCKS)) + draw(st.sampled_from(BESIDE))
    extents = [draw(st.sampled_from((2, 3, 1))) for _ in range(rank)]
    if rank > 3 and draw(st.booleans()):
        width = draw(st.sampled_from((5, 7, 16, 31, 33)))
        extents[-2:] = [-(-size // width), width]
    else:
        extents[draw(st.integers(0, rank - 1))] = size
    if math.prod(extents) > BLOCK_ELEMENTS:
        extents = [n if n > 3 else 1 for n in extents]
    return extents


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """A shape of rank 2 to 5, a channel axis and dtypes; half of the shapes have pairwise distinct extents."""
    rank = draw(st.sampled_from((2, 4, 3, 4, 2, 5)))
    shapes = draw(st.sampled_from((distinct_shapes, distinct_shapes, coincident_shapes, block_shapes)))
    channels, *shape = shapes(draw, rank)
    axis = draw(st.sampled_from((1, -1, 1, -1, 2, 0)))
    axis = rank - 1 if axis == -1 else min(axis, rank - 1)
    shape.insert(axis, channels)
    dtype = draw(st.sampled_from(("float32", "float32", "float64", "float16", "bfloat16", "float32")))
    parameter = dtype
    if dtype in ("float16", "bfloat16"):
        parameter = draw(st.sampled_from(("float32", "float32", dtype)))
    return Form(tuple(shape), axis, dtype, parameter, draw(st.sampled_from((True, True, True, True, False))))


@dataclass(frozen=True)
class Setting:
    """Everything that some framework compiles for: a form, and the layer's two constants."""

    form: Form
    epsilon: float
    decay: float


def settings(of: st.SearchStrategy[Form] | None = None) -> st.SearchStrategy[Setting]:
    """Forms, by default any, with epsilons from 1e-12 to 4 and decays from 0 to 1."""
    return st.builds(Setting, forms() if of is None else of, st.sampled_from(EPSILONS), st.sampled_from(DECAYS))


@st.composite
def plans(draw: st.DrawFn, settings: st.SearchStrategy[Setting]) -> Plan:
    """Values, parameters, state and layouts for a setting."""
    setting = draw(settings)
    unaligned = draw(st.integers(0, 7)) == 0
    return Plan(
        setting.form,
        x=draw(st.sampled_from(X_TYPES)),
        x2=draw(st.sampled_from(ORDINARY)),
        cotangent=draw(st.sampled_from(COTANGENTS[:-1] if unaligned else COTANGENTS)),
        layout="packed" if unaligned else draw(st.sampled_from(LAYOUTS)),
        dy_layout="packed" if unaligned else draw(st.sampled_from(DY_LAYOUTS)),
        epsilon=setting.epsilon,
        decay=setting.decay,
        gamma=draw(
            st.sampled_from(("distinct", "fine", "zeros", "ones", "no_beta", "scales", "poisoned", "beta", "faint"))
        ),
        state=draw(
            st.sampled_from(
                ("distinct", "like_epsilon", "extreme", "like_x", "initial", "centred", "unit", "poisoned", "zero")
            )
        ),
        parameter_layout=draw(st.sampled_from(("packed", "packed", "stepped", "expanded"))),
        seed=draw(SEEDS),
        unaligned=unaligned,
    )


@st.composite
def scaling_plans(draw: st.DrawFn) -> ScalingPlan:
    """A training set, its chunking (empty chunks included) and later data."""
    features = draw(st.sampled_from((3, 2, 5, 1, 4)))
    chunks = tuple(draw(st.lists(st.sampled_from((3, 1, 7, 0, 2, 16)), min_size=1, max_size=9)))
    if sum(chunks) < 2:
        chunks = (*chunks, 2)
    dtype = draw(st.sampled_from(("float32", "float32", "float64", "float32", "float16", "bfloat16")))
    inner = draw(st.sampled_from(((features,), (features,), (4, 6, features), (features, 6, 4))))
    axis = 1 if inner[0] == features else len(inner)
    parameter = "float32" if dtype in HALVES else dtype
    form = Form((sum(chunks), *inner), axis, dtype, parameter, affine=False)
    kinds = [t for t in X_TYPES if t not in ("nan", "infinite", "subnormal")]
    return ScalingPlan(form, draw(st.sampled_from(kinds)), draw(st.sampled_from(ORDINARY)), chunks, draw(SEEDS))


#: Input types on which relations are informative: the compared results are finite and not dominated by rounding.
RELATED = (
    "wide",
    "ordinary",
    "narrow",
    "exact",
    "mean_1e2",
    "mean_1e4",
    "like_epsilon",
    "constant",
    "alternating",
    "outlier",
)


@st.composite
def optional_call_cases(draw: st.DrawFn, pool: Sequence[Setting]) -> Case:
    """A relation, derivatives, a mask, a long training or a malformed call, in a setting of the pool."""
    plan = draw(plans(st.sampled_from(list(pool))))
    plan = dataclasses.replace(
        plan, x=draw(st.sampled_from(RELATED)), state=draw(st.sampled_from(("distinct", "like_x")))
    )
    kind = draw(st.sampled_from(("relation", "derivative", "masked", "long", "relation", "derivative")))
    if kind == "relation":
        return relation_case(plan)
    if kind == "derivative":
        return derivative_case(plan)
    if kind == "long":
        return long_case(plan)
    return masked_case(plan, draw(st.sampled_from((0.75, 0.5, 1.0))))


def cases(pool: Sequence[Setting] | None = None) -> st.SearchStrategy[Case]:
    """Batch-normalization cases; with a pool, only in its settings (frameworks compile for each)."""
    return plans(settings() if pool is None else st.sampled_from(list(pool))).map(batch_norm_case)


def input_cases() -> st.SearchStrategy[Case]:
    """Input-normalization cases."""
    return scaling_plans().map(input_norm_case)


def draw(strategy: st.SearchStrategy[T], number: int, seed: int) -> list[T]:
    """At most ``number`` examples of the strategy; the same seed gives the same ones."""
    found: list[T] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def gather(example: T) -> None:
        found.append(example)

    gather()
    return found
