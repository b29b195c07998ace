"""Programs beyond the ten calls of ``building.bn_program``: relations, derivatives, masks, malformed calls, long training.

Each takes a normal plan; only the calls on the layer differ.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bnspec.conformance.cases.building import Plan, ScalingPlan, batch_norm_case, input_norm_case
from bnspec.conformance.cases.layouts import lay_out
from bnspec.conformance.cases.malformed import malformed_dy, malformed_parameters, malformed_x
from bnspec.model.call import (
    FIT,
    FREEZE,
    INFERENCE,
    INFERENCE_GRADIENTS,
    INVERSE,
    MODES,
    TRAINING,
    TRAINING_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
    TRANSFORM,
    UNFREEZE,
    Call,
    Mode,
    call_named,
    call_of,
)
from bnspec.model.case import INTEGERS, MISSING, PARAMETERS, SEPARATOR, Case, Step
from bnspec.model.layer import LayerConfig
from bnspec.model.relations import derived


def _step(call: Call, inputs: Sequence[str], **options: Any) -> Step:
    """A call on a newly built layer."""
    return Step(call, tuple(inputs), True, tuple(options.items()))


def _with_derived(case: Case, steps: Sequence[Step], **arrays: np.ndarray) -> Case:
    """The case with these steps and the derived arrays that they name."""
    have = {**case.arrays, **arrays}
    named = [*(n for s in steps for n in s.inputs), *(str(v) for s in steps for k, v in s.options if k in PARAMETERS)]
    have.update({n: derived(n, have, case.config) for n in dict.fromkeys(named) if SEPARATOR in n})
    used = {*named, *PARAMETERS, "x", "mask"}
    return case.with_(steps=tuple(steps), arrays={n: a for n, a in have.items() if n in used})


def relation_case(plan: Plan) -> Case:
    """A forward and backward pass in both modes, and the related passes."""
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    return _with_derived(base, relation_program(base.config, not base.arrays["x"].flags.c_contiguous))


def relation_program(config: LayerConfig, is_view: bool) -> list[Step]:
    """The calls for a layer of this configuration."""
    flip = {n: f"{n}|channels_flipped" for n in PARAMETERS if config.affine or n.startswith("running")}
    turned = {"gamma": "gamma|times:-1"} if config.affine else {}
    rows = {"rank": 2, "channel_axis": 1}
    steps = []
    for call in (TRAINING_GRADIENTS, INFERENCE_GRADIENTS):
        steps.append(_step(call, ("x", "dy")))
        steps.append(_step(call, ("x|channels_flipped", "dy|channels_flipped"), relation="channels_flipped", **flip))
        if config.rank > 2:
            steps.append(_step(call, ("x|rows", "dy|rows"), relation="rows", **rows))
        if is_view:
            steps.append(_step(call, ("x|packed", "dy|packed"), relation="packed"))
        steps.append(_step(call, ("x", "dy|times:-4"), relation="cotangent:-4"))
        steps.append(_step(call, ("x", "dy|times:0"), relation="cotangent:0"))
        steps += [_step(call, ("x", "dy"), relation="threads", threads=n) for n in (1, 2, 3)]
        if call == INFERENCE_GRADIENTS:
            moved = {"epsilon": config.epsilon + 0.25, "running_var": "running_var|plus:-0.25"}
            steps.append(_step(call, ("x", "dy"), relation="moved_epsilon", **moved))
            continue
        steps.append(_step(call, ("x|flipped", "dy|flipped"), relation="flipped"))
        steps.append(_step(call, ("x|twice", "dy|twice"), relation="twice"))
        steps.append(_step(call, ("x|times:4", "dy"), relation="scaled:4", epsilon=config.epsilon * 16.0))
        if config.affine:
            steps.append(
                _step(call, ("x|times:-0.125", "dy"), relation="scaled:-0.125", epsilon=config.epsilon / 64.0, **turned)
            )
        steps.append(_step(call, ("x|plus:64", "dy"), relation="shifted:64"))
        steps.append(_step(call, ("x", "dy"), relation="decay", decay=0.25 if config.decay != 0.25 else 0.5))
    return steps


#: The subsets of gradients that may be requested; a case requests three of the six.
SUBSETS = (("dx", "dgamma", "dgamma dbeta"), ("dbeta", "dx dgamma", "dx dbeta"))


def direction(plan: Plan, base: Case, kind: str = "random") -> np.ndarray:
    """A direction in x, in the layout of dy; kind: "random", "constant" (in each channel, so that no result moves), or "x"."""
    rng, x = np.random.RandomState((plan.seed + 1) % 2**32), np.asarray(base.arrays["x"])
    if kind == "x":
        return x.copy()
    v = np.full(x.shape, 1.5) if kind == "constant" else rng.standard_normal(x.shape)
    layout = "packed" if plan.dy_layout in ("scalar", "expanded") else plan.dy_layout
    return lay_out(v.astype(x.dtype), layout, base.config.channel_axis)


def derivative_case(plan: Plan, subsets_asked: int = 3, along: str = "random", modes: Sequence[Mode] = MODES) -> Case:
    """Second derivatives, derivatives along a direction, and some subsets of the gradients, in these modes.

    Then each twice in turn on one layer, along other directions, and with inference between; then a step.

    Args:
        subsets_asked: of the three subsets of the plan's seed, the first so many; each is a compiled program in each mode.
        along: the kind of direction; "dy": the cotangent's own memory.
    """
    base, v = batch_norm_case(dataclasses.replace(plan, short=True)), "dy" if along == "dy" else "v"
    steps, subsets = [], SUBSETS[plan.seed % 2][:subsets_asked] if base.config.affine else ("dx",)
    for mode in modes:
        steps.append(_step(call_of(mode, "second_order"), ("x", "dy", v)))
        steps.append(_step(call_of(mode, "tangent"), ("x", v)))
        steps += [_step(call_of(mode, "some_gradients"), ("x", "dy"), wanted=w) for w in subsets]
        steps.append(Step(call_of(mode, "gradients"), ("x", "dy"), True))
    again, other = [_step(INFERENCE, ("x",))], f"{v}|times:-2"
    for step in (s for s in steps if s.call.kind != "gradients"):
        turned = (*step.inputs[:-1], other) if step.call.kind != "some_gradients" else step.inputs
        again += [dataclasses.replace(step, fresh=False), dataclasses.replace(step, inputs=turned, fresh=False)]
        again += [Step(INFERENCE, ("x",))] if step.call.mode == "training" else []
    again += [Step(TRAINING_GRADIENTS, ("x", "dy"))]
    arrays = {} if v == "dy" else {"v": direction(plan, base, along)}
    return _with_derived(base, [*steps, *again], **arrays)


def frozen_case(plan: Plan) -> Case:
    """A layer that is frozen after a step, and asked for every derivative; then trainable again."""
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    rng = np.random.RandomState((plan.seed + 1) % 2**32)
    v = rng.standard_normal(base.arrays["x"].shape).astype(base.arrays["x"].dtype)
    derivatives = [
        Step(call_of("training", "second_order"), ("x", "dy", "v")),
        Step(call_of("training", "tangent"), ("x", "v")),
        Step(call_of("training", "some_gradients"), ("x", "dy"), options=(("wanted", "dx"),)),
        Step(call_of("training", "some_gradients"), ("x", "dy"), options=(("wanted", "dgamma dbeta"),)),
        Step(call_of("training", "late_gradients"), ("x", "dy", "x|times:4")),
        Step(TRAINING_GRADIENTS, ("x", "dy")),
    ]
    steps = [Step(TRAINING, ("x",), True), Step(FREEZE), *derivatives, Step(UNFREEZE), *derivatives]
    return _with_derived(base, steps, v=v)


def frozen_masked_case(plan: Plan) -> Case:
    """A layer that is frozen and given padding; then trainable again."""
    base = masked_case(plan, 0.75)
    masked = [Step(TRAINING_MASKED, ("x", "mask")), Step(TRAINING_MASKED_GRADIENTS, ("x", "dy", "mask"))]
    steps = (_step(TRAINING_MASKED, ("x", "mask")), Step(FREEZE), *masked, Step(UNFREEZE), *masked)
    return _with_derived(base, steps)


def late_case(plan: Plan, other: str = "x|times:4") -> Case:
    """Forward passes whose backward pass comes after a training step on the other batch, in both modes; then between inferences."""
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    late = [_step(call_of(m, "late_gradients"), ("x", "dy", other)) for m in MODES]
    return _with_derived(base, [*late, *between_inferences(dataclasses.replace(s, fresh=False) for s in late)])


def between_inferences(steps: Iterable[Step]) -> list[Step]:
    """These steps on one new layer, with inference before and after each: what it keeps, each of them makes stale."""
    infers = [Step(INFERENCE, ("x",))]
    return [_step(INFERENCE, ("x",)), *itertools.chain.from_iterable([step, *infers] for step in steps)]


def third_order_case(plan: Plan) -> Case:
    """Third derivatives in training, on a new layer and, along another direction, in a second step."""
    return _twice(plan, TRAINING_THIRD_ORDER)


def tangent_gradient_case(plan: Plan) -> Case:
    """Gradients of a tangent in training, on a new layer and, along another direction, in a second step."""
    return _twice(plan, TRAINING_TANGENT_GRADIENT)


def _twice(plan: Plan, call: Call) -> Case:
    """This derivative on a new layer, with inference before and after, and along another direction in a second step.

    Without gamma and beta then of a frozen layer: for some that is a program of its own, so there is one.
    """
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    passes = Step(INFERENCE_GRADIENTS, ("x", "dy"))
    first = Step(call, ("x", "dy", "v"))
    steps = [dataclasses.replace(first, fresh=True), passes, Step(call, ("x", "dy", "v|times:-2")), passes]
    steps += [] if plan.form.affine else [Step(FREEZE), first, Step(UNFREEZE), first]
    return _with_derived(base, steps, v=direction(plan, base))


def state_gradient_case(plan: Plan) -> Case:
    """Gradients of a loss that reads the new running statistics, on a new layer, in a second step, while frozen, and afterwards."""
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    asked, passes = Step(TRAINING_STATE_GRADIENTS, ("x", "dy")), Step(INFERENCE_GRADIENTS, ("x", "dy"))
    steps = [_step(TRAINING_STATE_GRADIENTS, ("x", "dy")), passes, asked, passes]
    return _with_derived(base, [*steps, Step(FREEZE), asked, Step(UNFREEZE), asked])


def masked_case(
    plan: Plan, share: float, empty_sample: bool = False, whole_samples: bool = False, single: bool = False
) -> Case:
    """A batch with about this share unmasked, at least two elements per channel unless it is 0; then with other padding.

    Then with NaN in the padding, as uninitialised memory may have; with a cotangent there, as where the loss is not masked; then a
    second step, and one with another mask, between inferences; the same two with gradients. The mask has x's layout. ``empty_sample``: the last sample is padding alone, as where a batch is filled up.
    ``whole_samples``: the first sample and the last are padding alone, and nothing else is padding. ``single``: all but one element is.
    """
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    config, rng = base.config, np.random.RandomState((plan.seed + 2) % 2**32)
    shape = tuple(1 if a == config.channel_axis else n for a, n in enumerate(base.arrays["x"].shape))
    mask = rng.uniform(size=shape) < share
    mask.reshape(-1)[:2] = share > 0.0
    if whole_samples:
        mask[...] = True
        mask[0] = False
    if empty_sample or whole_samples:
        mask[-1] = False
    if single:
        mask.reshape(-1)[1:] = False
    mask = lay_out(mask, plan.layout if plan.layout != "expanded" else "packed", config.channel_axis)
    # a masked loss has no gradient on the padding
    dy = np.where(mask, base.arrays["dy"], base.arrays["dy"].dtype.type(0))
    if not mask.any():
        calls = ((TRAINING_MASKED, ("x", "mask")), (TRAINING_MASKED_GRADIENTS, ("x", "dy", "mask")))
        return _with_derived(base, [_step(call, inputs) for call, inputs in calls], mask=mask, dy=dy)
    other = ("x|repadded:1000", "mask")
    steps = (
        _step(TRAINING_MASKED, ("x", "mask")),
        _step(TRAINING_MASKED, other),
        _step(TRAINING_MASKED_GRADIENTS, ("x", "dy", "mask")),
        _step(TRAINING_MASKED_GRADIENTS, ("x|repadded:nan", "dy", "mask")),
        _step(TRAINING_MASKED, ("x|repadded:nan", "mask")),
        _step(TRAINING_MASKED, ("x|repadded:inf", "mask")),
        _step(TRAINING_MASKED_GRADIENTS, ("x", "dy|repadded:8", "mask")),
        Step(TRAINING_MASKED, ("x", "mask")),
        Step(INFERENCE, ("x",)),
        Step(TRAINING_MASKED, ("x", "mask|with_flipped")),
        Step(INFERENCE, ("x",)),
        Step(TRAINING_MASKED_GRADIENTS, ("x", "dy", "mask")),
        Step(INFERENCE, ("x",)),
        Step(TRAINING_MASKED_GRADIENTS, ("x", "dy", "mask|with_flipped")),
        Step(INFERENCE, ("x",)),
    )
    return _with_derived(base, steps, mask=mask, dy=dy)


#: Whole numbers from 0 to 255 times this take more than 16 bits, and float32 holds them.
LARGE = 1024


def integer_case(plan: Plan, factor: int = 1) -> Case:
    """Forward passes on whole numbers from 0 to 255, in floating point, in uint8 and in int32, on layers of their own; then frozen.

    ``factor``: of the numbers; beyond 1 they are no bytes.
    """
    base, kinds = batch_norm_case(dataclasses.replace(plan, short=True)), ("bytes", "words")[factor > 1 :]
    base = base.with_(arrays={**base.arrays, "x": base.arrays["x"] * base.arrays["x"].dtype.type(factor)})
    steps = []
    for call in (TRAINING, INFERENCE):
        steps += [_step(call, ("x",)), *(_step(call, (f"x|{k}",), relation=INTEGERS) for k in kinds)]
    frozen = Step(TRAINING, ("x|words",), options=(("relation", INTEGERS),))
    return _with_derived(base, [*steps, _step(TRAINING, ("x",)), Step(FREEZE), Step(TRAINING, ("x",)), frozen])


def integer_fit_case(plan: ScalingPlan, factor: int = 1) -> Case:
    """Fits on whole numbers from 0 to 255, in floating point, in uint8 and in int32; each followed by a transform of them.

    ``factor``: of the numbers; beyond 1 they are no bytes.
    """
    base = input_norm_case(plan)
    base = base.with_(arrays={n: a * a.dtype.type(factor) for n, a in base.arrays.items()})
    chunks = base.steps[0].inputs
    given = (("relation", INTEGERS),)
    steps = [Step(FIT, chunks, True), Step(TRANSFORM, ("x",))]
    for kind in ("bytes", "words")[factor > 1 :]:
        steps.append(Step(FIT, tuple(f"{n}|{kind}" for n in chunks), True, given))
        steps.append(Step(TRANSFORM, (f"x|{kind}",), options=given))
    have = {n: base.arrays[n] for n in ("x", *chunks)}
    have.update({n: derived(n, have, base.config) for s in steps for n in s.inputs if SEPARATOR in n})
    return base.with_(steps=tuple(steps), arrays=have)


def long_case(plan: Plan) -> Case:
    """18 training steps alternating between two batches, with and without gradients; then twelve inferences, a step, and one more."""
    base = batch_norm_case(plan)
    calls = [(TRAINING, ("x",)), (TRAINING_GRADIENTS, ("x2", "dy2")), (TRAINING, ("x2",))] * 6
    steps = [Step(call, inputs, fresh=k == 0) for k, (call, inputs) in enumerate(calls)]
    inferences = [Step(INFERENCE, (n,)) for n in ("x", "x2")] * 6
    return _with_derived(base, [*steps, *inferences, Step(TRAINING, ("x",)), Step(INFERENCE, ("x",))])


def history_case(plan: Plan, events: str) -> Case:
    """A history of one layer from words: calls, with the suffix 2 for the second batch; "set_decay:0.25"."""
    base, steps = batch_norm_case(plan), []
    for k, word in enumerate(events.split()):
        name, _, decay = word.partition(":")
        call = call_named(name.rstrip("2"))
        inputs = tuple(n + name[len(call.name) :] for n in call.inputs)
        steps.append(Step(call, inputs, k == 0, (("decay", float(decay)),) if decay else ()))
    return _with_derived(base, steps)


def vast_case(plan: Plan) -> Case:
    """Values 2^33 times those of the plan: the squares of "huge" float32 values then overflow."""
    base = batch_norm_case(plan)
    return base.with_(arrays={**base.arrays, "x": base.arrays["x"] * np.float32(2.0**33)})


def initial_case(plan: Plan) -> Case:
    """A layer initialized by the framework: evaluated before training, trained, evaluated."""
    base = batch_norm_case(dataclasses.replace(plan, short=True, gamma="ones", state="initial"))
    steps = (
        _step(INFERENCE, ("x",), initial=True),
        Step(TRAINING_GRADIENTS, ("x", "dy")),
        Step(INFERENCE, ("x",)),
    )
    return _with_derived(base, steps)


def refusal_case(plan: Plan) -> Case:
    """Calls malformed on purpose, each next to its well-formed twin; then histories without and with malformed calls."""
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    xs, dys, parameters = malformed_x(base), malformed_dy(base), malformed_parameters(base)
    steps = [Step(TRAINING, ("x",), True)]
    for call in (TRAINING, INFERENCE):
        steps += [*(Step(call, (x,), refused=True) for x in xs), Step(call, ("x",))]
    for call in (TRAINING_GRADIENTS, INFERENCE_GRADIENTS):
        steps += [*(Step(call, ("x", dy), refused=True) for dy in dys), Step(call, ("x", "dy"))]
    steps += [*_malformed_layers(base.config, parameters), Step(TRAINING, ("x",), True), *_interrupted("wide")]
    return _with_derived(base, steps, **xs, **dys, **parameters)


def malformed_layer_case(plan: Plan) -> Case:
    """Layers of malformed parameters alone, for shapes on which these broadcast."""
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    parameters = malformed_parameters(base)
    steps = [*_malformed_layers(base.config, parameters), Step(TRAINING, ("x",), True), Step(INFERENCE, ("x",))]
    return _with_derived(base, steps, **parameters)


def single_channel_case(plan: Plan) -> Case:
    """A layer of one channel, which would broadcast over an x of more, and next to that what it is made for."""
    base = batch_norm_case(dataclasses.replace(plan, short=True))
    wide = {"wide": malformed_x(base)["wide"]}
    steps = [
        Step(call, (x,), k == 0, refused=k == 0) for call in (TRAINING, INFERENCE) for k, x in enumerate(("wide", "x"))
    ]
    return _with_derived(base, steps, **wide)


def _malformed_layers(config: LayerConfig, parameters: Iterable[str]) -> list[Step]:
    """Each parameter of each malformed shape, in both modes."""
    names = [n for n in PARAMETERS if config.affine or n.startswith("running")]
    calls = [(call, name, wrong) for name in names for wrong in parameters for call in (TRAINING, INFERENCE)]
    return [Step(call, ("x",), True, ((name, wrong),), refused=True) for call, name, wrong in calls]


def _interrupted(wrong: str) -> list[Step]:
    """Histories of one layer; then the same histories with malformed calls between the others."""
    steps = []
    for call in (TRAINING, INFERENCE):
        steps += [Step(call, ("x",), True), Step(call, ("x",))]
    for first, second in itertools.product((TRAINING, INFERENCE), repeat=2):
        bad = Step(first, (wrong,), refused=True)
        steps += [Step(first, (wrong,), True, refused=True), Step(second, ("x",)), bad, Step(second, ("x",))]
    return steps


def missing_case(plan: ScalingPlan) -> Case:
    """Fits on a training set with missing values: some in every feature, and all of the first in the first chunk; then reversed."""
    base = input_norm_case(plan)
    chunks = base.steps[0].inputs
    arrays = {n: base.arrays[n].copy() for n in chunks}
    for k, array in enumerate(arrays.values()):
        lanes = np.moveaxis(array, base.config.channel_axis, -1)
        lanes.reshape(-1)[k :: 4 + k] = np.nan
        lanes[..., 0] = np.nan if k == 0 else lanes[..., 0]
    given = (("relation", MISSING),)
    return base.with_(arrays=arrays, steps=(Step(FIT, chunks, True, given), Step(FIT, chunks[::-1], True, given)))


def repeated_fit_case(plan: ScalingPlan) -> Case:
    """A fit whose first chunk comes twice in turn, among others; then reversed; then from the same memory."""
    base = input_norm_case(plan)
    first, *others = base.steps[0].inputs
    arrays = {**{n: base.arrays[n] for n in (first, *others)}, "again": base.arrays[first].copy()}
    chunks, same = (first, "again", *others), (first, first, *others)
    return base.with_(arrays=arrays, steps=tuple(Step(FIT, c, True) for c in (chunks, chunks[::-1], same)))


def vast_fit_case(plan: ScalingPlan, factor: float) -> Case:
    """A fit on values so large that their squares leave the range of x's dtype, and their transform."""
    base, name = input_norm_case(plan), f"x|times:{factor!r}"
    arrays = {"x": base.arrays["x"]}
    arrays[name] = derived(name, arrays, base.config)
    return base.with_(steps=(Step(FIT, (name,), True), Step(TRANSFORM, (name,))), arrays=arrays)


def unfitted_case(plan: ScalingPlan) -> Case:
    """A transform before any fit, which must raise; then a fit, and the same transform, twelve times."""
    base = input_norm_case(plan)
    chunks = base.steps[0].inputs
    steps = (Step(TRANSFORM, ("x",), True, refused=True), Step(FIT, chunks, True), *[Step(TRANSFORM, ("x",))] * 12)
    return base.with_(steps=steps, arrays={n: base.arrays[n] for n in ("x", *chunks)})


def scaling_relation_case(plan: ScalingPlan) -> Case:
    """A fit, the same fit in another order and in other units, far values, and an empty fit."""
    base = input_norm_case(plan)
    chunks = base.steps[0].inputs
    far = base.arrays["unseen"].astype(np.float64) * 64.0
    arrays = {"far": far.astype(base.arrays["x"].dtype), "nothing": base.arrays["x"][:0].copy()}
    steps = [
        Step(FIT, chunks, True),
        Step(TRANSFORM, ("x",)),
        Step(TRANSFORM, ("far",)),
        Step(INVERSE, ("far",)),
        Step(FIT, chunks[::-1], True, (("relation", "reordered"),)),
    ]
    for k in ("64", "-0.0009765625"):
        steps.append(Step(FIT, (f"x|times:{k}",), True))
        steps.append(Step(TRANSFORM, (f"x|times:{k}",), options=(("relation", f"units:{k}"),)))
    steps.append(Step(FIT, ("nothing",), True))
    steps += [Step(FIT, chunks, True), Step(FIT, ("nothing",))]
    case = base.with_(arrays={**base.arrays, **arrays})
    have = {
        **case.arrays,
        **{n: derived(n, case.arrays, case.config) for s in steps for n in s.inputs if SEPARATOR in n},
    }
    used = {n for s in steps for n in s.inputs} | {"x"}
    return base.with_(steps=tuple(steps), arrays={n: a for n, a in have.items() if n in used})
