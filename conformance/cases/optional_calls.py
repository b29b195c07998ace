"""The catalogue's optional calls: relations, derivatives, masks, refusals, histories, long training and new layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.forms import (
    IMAGE,
    IMAGE_LAST,
    LINE,
    LINE_LAST,
    ROWS,
    TINY,
    VOLUME,
    VOLUME_LAST,
    in_dtype,
    in_float64,
)
from bnspec.conformance.cases.half_precision import HALVES, SMALL_EPSILON
from bnspec.conformance.cases.programs import (
    LARGE,
    derivative_case,
    frozen_case,
    frozen_masked_case,
    history_case,
    initial_case,
    integer_case,
    late_case,
    long_case,
    malformed_layer_case,
    masked_case,
    refusal_case,
    relation_case,
    single_channel_case,
    state_gradient_case,
    tangent_gradient_case,
    third_order_case,
    vast_case,
)
from bnspec.model.case import Case

NEGATIVE = "a running variance below -epsilon"
#: (purpose, events): histories that random draws would rarely produce.
HISTORIES = (
    (
        "a copy and its original, trained in turn",
        "inference training clone training2 swap inference training_gradients swap inference2 training swap inference",
    ),
    (
        "frozen, copied, trainable again",
        "training freeze training2 training_gradients2 clone training unfreeze training training_gradients2 swap training2",
    ),
    (
        "another decay, copied, restored",
        (
            "training set_decay:0.25 training clone training_gradients2 set_decay:0 training2 swap training save_restore "
            "training2 inference"
        ),
    ),
    (
        "reset, restored twice, reset again",
        "training reset training_gradients2 save_restore training save_restore reset training2 inference",
    ),
    (
        "reset after inference",
        "training inference reset inference inference_gradients training2 inference2 reset inference_gradients training",
    ),
    (
        "another decay, reset, frozen, restored",
        (
            "training set_decay:0.25 reset training2 freeze training set_decay:0 reset training unfreeze training2 inference "
            "reset training freeze inference unfreeze training save_restore training2 inference"
        ),
    ),
    (
        "restored, copied, reset, frozen",
        (
            "training save_restore training2 set_decay:0.25 clone training reset training2 swap training reset training2 clone "
            "freeze training swap training2 unfreeze set_decay:0 training clone training2 inference"
        ),
    ),
    (
        "each operation twice",
        (
            "training freeze freeze training unfreeze unfreeze training2 save_restore save_restore training clone clone "
            "training2 swap swap training set_decay:0.25 set_decay:0.25 training reset reset training2 inference"
        ),
    ),
    (
        "frozen without a decay, copied and saved while frozen",
        (
            "training set_decay:0 freeze training_gradients2 training clone unfreeze training freeze training2 swap training2 "
            "save_restore freeze training_gradients2 unfreeze training_gradients2 inference"
        ),
    ),
    (
        "copied and restored between inferences",
        (
            "training inference clone training2 inference swap inference training_gradients2 inference save_restore "
            "training2 inference clone inference swap training inference"
        ),
    ),
    (
        "one batch before and after saving and copying",
        "training_gradients inference save_restore inference training_gradients clone inference training_gradients",
    ),
)
#: Saved, copied, reset: what is then at hand are the values that there were, whatever they are.
KEPT = (
    "inference save_restore inference clone training_gradients save_restore inference training2 clone inference training "
    "swap reset training2 save_restore inference"
)
#: (gamma and beta, state): of one sign, equal, neutral, of many digits, of many sizes, not finite.
VALUES_KEPT = (
    ("negative", "below"),
    ("positive", "distinct"),
    ("equal", "equal"),
    ("equal", "unit"),
    ("none", "zero"),
    ("ones", "centred"),
    ("no_beta", "initial"),
    ("fine", "like_epsilon"),
    ("scales", "extreme"),
    ("infinite", "poisoned"),
    ("spoiled_beta", "spoiled"),
)
#: The same of half-precision parameters, by the calls that there are programs for.
KEPT_WITH_GRADIENTS = (
    "inference_gradients save_restore inference_gradients clone training_gradients save_restore inference_gradients "
    "swap reset training_gradients save_restore inference_gradients"
)
#: Each call twice in turn, on batches of one shape: what is kept by the shape, and results that share their memory.
IN_TURN = (
    "inference inference2 training training2 inference_gradients inference_gradients2 training_gradients "
    "training_gradients2 training inference"
)


FROZEN = "training_gradients freeze freeze training_gradients training unfreeze training_gradients inference"


def optional_calls() -> Iterator[tuple[str, Case]]:
    """(purpose, case) of relations, derivatives, masks, refusals, long training and new layers."""
    for form in (TINY, IMAGE):
        plan = Plan(form, "wide", epsilon=2.0**-4, seed=111)
        yield "results that must follow from one another", relation_case(plan)
        exact = Plan(form, "exact", epsilon=2.0**-4, seed=142)
        yield "results that must follow from one another, without rounding of x", relation_case(exact)
        for k, kind in enumerate(("wide", "mean_1e2", "ordinary", "exact", "alternating")):
            # the subsets of gradients go by the seed: three for each form, since each is a program in each mode
            layout, along = ("packed", "transposed", "stepped")[k % 3], ("random", "dy", "random", "x", "constant")[k]
            at = Plan(form, kind, dy_layout=layout, epsilon=2.0**-4, seed=140 + 2 * k + (form is TINY))
            yield f"derivatives, values: {kind}, direction: {along}", derivative_case(at, along=along)
        for kind, epsilon in (("narrow", 0.0), ("specials", 2.0**-4)):
            at = Plan(form, kind, epsilon=epsilon, gamma="zeros", seed=202 + (form is TINY))
            yield f"derivatives beside a gamma of 0, values: {kind}, epsilon {epsilon}", derivative_case(at)
        yield "many steps", long_case(Plan(form, "wide", seed=113))
        yield "a new layer", initial_case(Plan(form, "wide", seed=114))
        yield "malformed calls", refusal_case(Plan(form, "wide", seed=115))
        yield "squares beyond the range of float32", vast_case(Plan(form, "huge", seed=127, short=True))
        for purpose, events in HISTORIES:
            yield purpose, history_case(Plan(form, "wide", seed=126), events)
        for gamma, state in VALUES_KEPT:
            plan = Plan(form, "wide", gamma=gamma, state=state, seed=183)
            yield f"saved and copied, parameters: {gamma}, statistics: {state}", history_case(plan, KEPT)
        yield "frozen, and every derivative", frozen_case(Plan(form, "wide", epsilon=2.0**-4, seed=171))
        yield NEGATIVE, batch_norm_case(Plan(form, "wide", epsilon=2.0**-10, state="negative", seed=116))
        yield "padding", masked_case(Plan(form, "wide", seed=117), 0.75)
        yield "a mask that keeps all", masked_case(Plan(form, "wide", seed=118), 1.0)
        yield "another step before the backward pass", late_case(Plan(form, "wide", epsilon=2.0**-4, seed=163))
        reads = Plan(form, "wide", epsilon=2.0**-4, decay=0.5, seed=164)
        yield "a loss that reads the running statistics", state_gradient_case(reads)
        bare_late = Plan(form, "wide", epsilon=2.0**-4, decay=0.0, seed=203)
        yield "another step before the backward pass, decay 0", late_case(bare_late)
        yield "frozen, with padding", frozen_masked_case(Plan(form, "wide", seed=117))
        yield "a mask that keeps nothing", masked_case(Plan(form, "wide", seed=118), 0.0)
        for factor in (1, LARGE):
            yield f"whole numbers as integers, times {factor}", integer_case(Plan(form, "pixels", seed=162), factor)
    for form in (ROWS, IMAGE, IMAGE_LAST, LINE, VOLUME):
        # as where their programs come from
        epsilon, decay = (2.0**-4, 0.5) if form in (LINE, VOLUME) else (2.0**-10, 0.75)
        plan = Plan(form, "exact", "alike", epsilon=epsilon, decay=decay, seed=170)
        yield "batches of one shape in turn", history_case(plan, IN_TURN)
    for dtype in HALVES:
        for purpose, events in HISTORIES[1:4]:
            yield (
                f"{dtype} x: {purpose}",
                history_case(Plan(in_dtype(IMAGE, dtype), "wide", decay=0.5, seed=126), events),
            )
        turns = Plan(in_dtype(IMAGE, dtype), "exact", "alike", decay=0.5, seed=204)
        yield f"{dtype} x: batches of one shape in turn", history_case(turns, IN_TURN)
        for form in (in_dtype(IMAGE, dtype, dtype), in_dtype(TINY, dtype, dtype)):
            state = "beyond_half" if dtype == "bfloat16" else "extreme"
            plan = Plan(form, "wide", gamma="fine", state=state, decay=0.5, seed=205)
            yield f"{dtype} x and parameters, saved and copied", history_case(plan, KEPT_WITH_GRADIENTS)
    many = Plan(Form((33, 34), 1), "wide", seed=206)
    yield "more than ten channels, saved and copied", history_case(many, KEPT_WITH_GRADIENTS)
    for purpose, events in HISTORIES[2:4]:
        yield f"float64 x: {purpose}", history_case(Plan(in_float64(IMAGE), "wide", seed=175), events)
    fine = Plan(in_float64(IMAGE), "wide", gamma="fine", seed=210)
    yield "float64 x: frozen, gamma of many digits", history_case(fine, FROZEN)
    turns = Plan(in_float64(IMAGE), "exact", "alike", seed=204)
    yield "float64 x: batches of one shape in turn", history_case(turns, IN_TURN)
    for form in (in_float64(IMAGE), in_dtype(IMAGE, "bfloat16")):
        yield f"a new layer in {form.dtype}", initial_case(Plan(form, "wide", decay=0.5, seed=114))
    for form in (IMAGE, IMAGE_LAST, LINE_LAST):
        yield "a sample that is padding alone", masked_case(Plan(form, "wide", seed=157), 0.75, empty_sample=True)
    for form in (TINY, IMAGE):
        yield "a mask that keeps one element", masked_case(Plan(form, "wide", seed=210), 1.0, single=True)
    for form in (IMAGE, IMAGE_LAST):
        yield "whole samples of padding", masked_case(Plan(form, "wide", seed=207), 1.0, whole_samples=True)
    yield "other channels than the one of the layer", single_channel_case(Plan(Form((4, 1), 1), "wide", seed=181))
    one_sample = Plan(Form((1, 4, 3, 2), 1), "wide", seed=143)
    yield "malformed parameters that broadcast over a batch of one", malformed_layer_case(one_sample)
    yield (
        "views that must agree with their copies",
        relation_case(Plan(IMAGE, "exact", layout="stepped", dy_layout="transposed", epsilon=2.0**-4, seed=119)),
    )
    yield "results that must follow, channels last", relation_case(Plan(IMAGE_LAST, "exact", seed=120))
    yield (
        "squares beyond the range of float32, channels last",
        vast_case(Plan(IMAGE_LAST, "huge", seed=127, short=True)),
    )
    yield "padding, channels last", masked_case(Plan(IMAGE_LAST, "wide", layout="transposed", seed=121), 0.75)
    yield "padding, a mask in steps", masked_case(Plan(IMAGE, "wide", layout="stepped", seed=185), 0.75)
    yield "padding of sequences, channels last", masked_case(Plan(LINE_LAST, "wide", seed=122), 0.5)
    yield "padding, and NaN in one channel", masked_case(Plan(IMAGE, "nan", seed=191), 0.75)
    yield "padding where extents coincide", masked_case(Plan(Form((4, 3, 3), 1), "wide", seed=168), 0.6)
    for form in (Form((3, 7, 1), 2), Form((3, 1, 7), 1), Form((4, 3, 6), 0)):
        purpose = "padding, channels before the batch" if form.channel_axis == 0 else "padding of one channel"
        yield purpose, masked_case(Plan(form, "wide", seed=150), 0.6)
    yield "padding in float64, channels last", masked_case(Plan(in_float64(LINE_LAST), "wide", seed=126), 0.5)
    for other, epsilon, decay in ((VOLUME, 2.0**-4, 0.5), (dataclasses.replace(IMAGE, affine=False), 4.0, 0.75)):
        plan = Plan(other, "wide", epsilon=epsilon, decay=decay, seed=128)
        yield "derivatives of this form", derivative_case(plan, subsets_asked=1)
    yield "padding in a volume, decay 0", masked_case(Plan(VOLUME, "wide", decay=0.0, seed=129), 0.5)
    late = Plan(IMAGE_LAST, "wide", epsilon=2.0**-4, seed=163)
    yield "a step on a larger batch before the backward pass, channels last", late_case(late, "x|twice")
    for form in (ROWS, dataclasses.replace(LINE_LAST, shape=(6, 7, 5))):
        plan = Plan(form, "ordinary", epsilon=2.0**-10, seed=190)
        yield "derivatives at other ranks, of five channels", derivative_case(plan, 0, modes=("training",))
    yield "derivatives, channels last", derivative_case(Plan(IMAGE_LAST, "wide", seed=123), subsets_asked=1)
    for kind in ("mean_1e4", "ordinary"):  # beside a large mean a bound admits what float32 loses
        double = Plan(in_float64(IMAGE), kind, epsilon=1e-3, decay=0.9, seed=124)
        yield f"derivatives in float64, values: {kind}", derivative_case(double, subsets_asked=1)
    for form in (IMAGE_LAST, in_float64(IMAGE), dataclasses.replace(TINY, affine=False)):
        layout, layout_of_dy = ("fortran", "stepped") if len(form.shape) > 2 else ("packed", "packed")
        at = Plan(form, "ordinary", layout=layout, dy_layout=layout_of_dy, epsilon=2.0**-4, seed=166)
        yield "third derivatives", third_order_case(at)
        yield "gradients of a tangent", tangent_gradient_case(dataclasses.replace(at, seed=167))
    # a mean of 0: a bound on derivatives that are formed in half precision then still is below them
    centred = Plan(in_dtype(IMAGE, "float16"), "signs", epsilon=2.0**-4, decay=0.5, seed=208)
    yield "derivatives in float16", derivative_case(centred, subsets_asked=1, along="x")
    for kind, epsilon in (("mean_1e2", 2.0**-10), ("constant", SMALL_EPSILON)):
        padded = Plan(in_dtype(IMAGE, "float16"), kind, epsilon=epsilon, decay=0.5, seed=208)
        yield f"padding in float16, values: {kind}", masked_case(padded, 0.6)
    for dtype in ("float16", "bfloat16"):
        half = in_dtype(IMAGE, dtype)
        yield (
            f"{dtype} x with statistics beyond its range",
            batch_norm_case(Plan(half, "pixels", state="beyond_half", decay=0.5, seed=125)),
        )


#: Forms on which quick effort has no optional calls, for they would be programs of their own: dtypes, no gamma and beta, ranks, square
#: planes, one sample, one channel.
OTHER_FORMS = (
    *(in_dtype(IMAGE, dtype) for dtype in HALVES),
    dataclasses.replace(IMAGE, affine=False),
    in_float64(VOLUME_LAST),
    Form((3, 4, 5, 5), 1),
    Form((3, 5, 5, 4), 3),
    in_dtype(Form((1, 3, 5, 2), 1), "bfloat16"),
    Form((1, 5, 3), 2, affine=False),
    Form((5, 1, 3, 3), 1),
)


def more_optional_calls() -> Iterator[tuple[str, Case]]:
    """(purpose, case) of the optional calls on other forms, for more than quick effort."""
    for form in OTHER_FORMS:
        decay = 0.5 if form.dtype in HALVES else 0.75
        plan = Plan(form, "ordinary", epsilon=2.0**-4, decay=decay, seed=209)
        yield "derivatives of this form", derivative_case(plan)
        yield "padding of this form", masked_case(plan, 0.6)
        yield "third derivatives of this form", third_order_case(plan)
        yield "gradients of a tangent of this form", tangent_gradient_case(plan)
        yield "a loss that reads the running statistics, of this form", state_gradient_case(plan)
        yield "another step before the backward pass, of this form", late_case(plan)
        yield "batches of this form in turn", history_case(dataclasses.replace(plan, x2="alike", x="exact"), IN_TURN)
        yield "frozen, and every derivative, of this form", frozen_case(plan)
        if form.dtype == "float32":
            yield "whole numbers as integers, in this form", integer_case(dataclasses.replace(plan, x="pixels"))
