"""Builds a case from a plan (a few words and numbers): arrays, layouts and the program of calls."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from bnspec.conformance.cases.layouts import lay_out, one_buffer
from bnspec.conformance.cases.values import draw_cotangent, draw_x
from bnspec.model.buffers import dtype_of
from bnspec.model.call import FIT, INFERENCE, INFERENCE_GRADIENTS, INVERSE, TRAINING, TRAINING_GRADIENTS, TRANSFORM
from bnspec.model.case import Case, Step
from bnspec.model.layer import LayerConfig
from bnspec.model.precision import PRECISIONS


@dataclasses.dataclass(frozen=True)
class Form:
    """The properties that compilers specialise on: shape, axis, dtypes. A new form is the expensive part of a case.

    Attributes:
        shape, channel_axis: of x.
        dtype: of x; parameter_dtype: of gamma, beta and the running statistics.
        affine: whether gamma and beta exist.
    """

    shape: tuple[int, ...]
    channel_axis: int
    dtype: str = "float32"
    parameter_dtype: str = "float32"
    affine: bool = True


@dataclasses.dataclass(frozen=True)
class Plan:
    """All parameters of a batch-normalization case.

    Attributes:
        form: shape, axis and dtypes.
        x, x2: input types of the first and of the second batch; x2 "alike": the shape, the first values and the sums of x.
        cotangent: kind of dy; "x": the same memory as x.
        layout, dy_layout: memory layouts.
        epsilon, decay: of the layer.
        gamma: "distinct" (with a negative), "zeros" (some zero), "ones", "scales" (from 2^-10 to 2^10, and 2^-24), "fine" (values that
            need all the digits of their dtype, of beta too), "no_beta" (distinct, with a beta of 0), "negative", "positive" (of beta too), "equal" (one number, not 1), "none" (0 in every channel), "infinite" (in
            one channel), "spoiled_beta" (distinct; a beta with NaN and an infinity), "poisoned" (NaN in one channel), "beta" (the bits of beta), "faint" (2^-12
            to 2^-10: beta, fine, is nearly all of y).
        state: "distinct", "initial" (0, 1), "like_epsilon" (variances of the size of epsilon), "extreme" (1e-9 to 1e5),
            "like_x" (the running mean lies near x), "negative" (variances of -1/2, as in a damaged snapshot),
            "beyond_half" (variances beyond half precision), "poisoned" (a mean of NaN and an infinite variance),
            "zero" (variances of 0), "null" (means of 0, too), "vanishing" (variances of 2^-100, as where nothing but epsilon divides), "centred" (means of 0), "unit" (variances of 1), "below" (means below 0), "equal" (one mean
            and one variance, of many digits), "spoiled" (a variance of NaN and an infinite mean).
        parameter_layout: layout of gamma, beta and the running statistics: "packed", "stepped" (every second element),
            "expanded" (gamma and beta: one number each, with stride 0), or "one" (gamma and beta are one array).
        seed: of the values.
        short: only forward and backward in both modes, for shapes on which ten calls would be expensive.
        forward: a short case has the calls without gradients, too: they are other kernels.
        shared: beta shares memory with the running mean, and gamma with the running variance.
        unaligned: parameters, statistics, x and dy are packed in one buffer, all but the first at addresses that no vector width divides.
    """

    form: Form
    x: str = "ordinary"
    x2: str = "wide"
    cotangent: str = "random"
    layout: str = "packed"
    dy_layout: str = "packed"
    epsilon: float = 2.0**-10
    decay: float = 0.75
    gamma: str = "distinct"
    state: str = "distinct"
    parameter_layout: str = "packed"
    seed: int = 0
    short: bool = False
    forward: bool = False
    shared: bool = False
    unaligned: bool = False


#: The name of a part of x along its first axis.
ROW = "x[{0}:{1}]"


def bn_program(row: str | None) -> tuple[Step, ...]:
    """Ten calls that cover every clause for one form.

    Inference alone, with gradients, on a part of the batch and repeated; a training step; inference with the updated statistics;
    a second step on a batch of another size; a third; then the first step again on a rebuilt layer, without and with gradients.
    """
    steps = [Step(INFERENCE, ("x",), fresh=True), Step(INFERENCE_GRADIENTS, ("x", "dy"))]
    if row:
        steps.append(Step(INFERENCE, (row,)))
    return (
        *steps,
        Step(INFERENCE, ("x",)),
        Step(TRAINING, ("x",)),
        Step(INFERENCE, ("x",)),
        Step(TRAINING_GRADIENTS, ("x2", "dy2")),
        Step(TRAINING, ("x",)),
        Step(TRAINING, ("x",), fresh=True),
        Step(TRAINING_GRADIENTS, ("x", "dy"), fresh=True),
    )


SHORT_PROGRAM = (
    Step(INFERENCE_GRADIENTS, ("x", "dy"), fresh=True),
    Step(TRAINING_GRADIENTS, ("x", "dy"), fresh=True),
)
#: The same, and both forward passes alone.
FORWARD_PROGRAM = (Step(INFERENCE, ("x",), fresh=True), Step(TRAINING, ("x",), fresh=True), *SHORT_PROGRAM)


SHARED_PROGRAM = (Step(TRAINING, ("x",), fresh=True), Step(TRAINING_GRADIENTS, ("x", "dy"), fresh=True))


def batch_norm_case(plan: Plan) -> Case:
    """The case of a plan; the same plan gives the same case, bit for bit."""
    form = plan.form
    config = LayerConfig(
        len(form.shape),
        form.channel_axis,
        form.shape[form.channel_axis],
        plan.epsilon,
        plan.decay,
        form.dtype,
        form.parameter_dtype,
        form.affine,
    )
    rng = np.random.RandomState(plan.seed % 2**32)
    arrays = parameters(plan, config, rng)
    x = lay_out(draw_x(plan.x, rng, config, form.shape), plan.layout, form.channel_axis)
    arrays["x"] = x
    dy = draw_cotangent(plan.cotangent, rng, config, form.shape, np.asarray(x))
    arrays["dy"] = x if plan.cotangent == "x" else lay_out(dy, plan.dy_layout, form.channel_axis)
    if not plan.short and not plan.shared:
        second = form.shape if plan.x2 == "alike" else second_shape(form)
        layout = "packed" if plan.dy_layout == "scalar" else plan.dy_layout
        values = alike(x, config) if plan.x2 == "alike" else draw_x(plan.x2, rng, config, second)
        arrays["x2"] = lay_out(values, layout, form.channel_axis)
        arrays["dy2"] = draw_cotangent("random", rng, config, second)
    if plan.state == "like_x" and x.size:
        near = np.nan_to_num(np.mean(x.astype(np.float64), axis=config.reduce_axes), posinf=1.0, neginf=1.0)
        limit = PRECISIONS[form.parameter_dtype].largest / 4.0
        arrays["running_mean"][:] = np.clip(near, -limit, limit).astype(arrays["running_mean"].dtype)
    if plan.shared:
        arrays["gamma"], arrays["beta"] = arrays["running_var"], arrays["running_mean"]
    if plan.unaligned:
        arrays = one_buffer(arrays, ("running_mean", "gamma", "x", "running_var", "beta", "dy"))
        x = arrays["x"]
    row = None
    if not plan.short and not plan.shared and form.channel_axis != 0 and form.shape[0] > 1:
        k = int(rng.randint(form.shape[0]))
        row = ROW.format(k, k + 1)
        arrays[row] = x[k : k + 1]
    origin = {"plan": dataclasses.asdict(plan)}
    if plan.shared:
        return Case("batch_norm", config, arrays, SHARED_PROGRAM, origin)
    short = FORWARD_PROGRAM if plan.forward else SHORT_PROGRAM
    return Case("batch_norm", config, arrays, short if plan.short else bn_program(row), origin)


def alike(x: np.ndarray, config: LayerConfig) -> np.ndarray:
    """A batch that agrees with x in shape, in each channel's first value and, for whole numbers, in its sum, and nowhere in its spread.

    What is kept from one batch for the next by one of these signs, is then wrong.
    """
    lanes = np.moveaxis(x, config.channel_axis, 0).reshape(config.channels, -1).copy()
    shift = lanes.dtype.type(16)
    pairs = (lanes.shape[1] - 1) // 2
    lanes[:, 1 : 1 + pairs] += shift
    lanes[:, 1 + pairs : 1 + 2 * pairs] -= shift
    moved = [config.channels, *(n for a, n in enumerate(x.shape) if a != config.channel_axis)]
    return np.moveaxis(lanes.reshape(moved), 0, config.channel_axis)


def second_shape(form: Form) -> tuple[int, ...]:
    """The shape of the second batch: one more along a short reduced axis, else one less.

    A count, buffer or kernel kept from the first batch does not fit it.
    """
    axis = 0 if form.channel_axis != 0 else 1
    extent = form.shape[axis]
    return tuple(n + (1 if extent < 3 else -1) if a == axis else n for a, n in enumerate(form.shape))


def _gamma_and_beta(kind: str, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """gamma and beta of this kind for the channels c; see ``Plan``."""
    sign, distinct = np.where(c % 3 == 1, -1.0, 1.0), 0.5 + 0.375 * ((c * 5) % 11)
    beta, one = 0.25 + 0.5 * ((c * 7) % 13) - 2.0, c == len(c) // 2
    if kind in ("fine", "faint"):
        beta = beta / 3.0
    if kind == "no_beta":
        beta = np.zeros(len(c))
    if kind in ("negative", "positive"):
        beta = np.copysign(np.abs(beta) + 0.125, -1.0 if kind == "negative" else 1.0)
    gammas = {
        **dict.fromkeys(("distinct", "no_beta", "spoiled_beta"), sign * distinct),
        "zeros": np.where(c % 2 == 0, 0.0, -1.5),
        "ones": np.ones(len(c)),
        "none": np.zeros(len(c)),
        "equal": np.full(len(c), 1.75),
        "negative": -distinct,
        "positive": distinct,
        "fine": sign * (1.0 + c % 7) / 3.0,
        "scales": sign * np.ldexp(1.0, np.where(c % 6 == 0, -24, (c * 7) % 21 - 10)),
        "poisoned": np.where(one, np.nan, distinct),
        "infinite": np.where(one, np.inf, sign * distinct),
        "beta": beta,
        "faint": sign * np.ldexp(1.0, c % 3 - 12),
    }
    if kind == "spoiled_beta":
        beta = np.where(c % 3 == 0, np.nan, np.where(c % 3 == 1, -np.inf, beta))
    return gammas[kind], beta


def parameters(plan: Plan, config: LayerConfig, rng: np.random.RandomState) -> dict[str, np.ndarray]:
    """gamma, beta and the initial state of a layer; never the defaults, unless the plan requests them."""
    c, dtype = np.arange(config.channels), dtype_of(config.parameter_dtype)
    arrays: dict[str, Any] = {}
    if config.affine:
        gamma, beta = _gamma_and_beta(plan.gamma, c)
        arrays["gamma"], arrays["beta"] = gamma.astype(dtype), beta.astype(dtype)
    means = 5.0 + 0.75 * ((c * 3) % 8) * np.where(c % 2, -1.0, 1.0)
    if plan.state in ("initial", "centred", "null"):
        means = np.zeros(config.channels)
    if plan.state == "below":
        means = -np.abs(means)
    if plan.state == "equal":
        means = np.full(config.channels, 16.0 / 3.0)
    variances = {
        **dict.fromkeys(("distinct", "centred", "below"), 9.0 - 0.5 * ((c * 5) % 16)),
        **dict.fromkeys(("initial", "unit"), np.ones(config.channels)),
        "like_epsilon": max(plan.epsilon, 2.0**-40) * (0.5 + 0.25 * (c % 7)),
        "extreme": np.where(c % 2 == 0, 1e-9, 6e4),
        "like_x": 0.5 + 0.25 * (c % 5),
        "poisoned": np.where(c % 3 == 1, np.inf, 2.0),
        **dict.fromkeys(("zero", "null"), np.zeros(config.channels)),
        "vanishing": np.ldexp(1.0 + 0.25 * (c % 7), -100),
        "equal": np.full(config.channels, 8.0 / 3.0),
        "negative": np.where(c % 2 == 0, -0.5, 2.0),
        "spoiled": np.where(c % 3 == 0, np.nan, 2.0),
        "beyond_half": np.where(c % 2 == 0, 1e5, 1e-9),
    }
    if plan.state == "poisoned":
        means = np.where(c % 3 == 0, np.nan, means)
    if plan.state == "spoiled":
        means = np.where(c % 3 == 1, -np.inf, means)
    arrays["running_mean"] = means.astype(dtype)
    arrays["running_var"] = variances[plan.state].astype(dtype)
    if (
        plan.parameter_layout == "expanded"
    ):  # only for arrays that are read: statistics are written and need their own memory
        return {n: lay_out(a, "expanded" if n in ("gamma", "beta") else "packed", 0) for n, a in arrays.items()}
    if plan.parameter_layout == "one":
        return {**arrays, "beta": arrays["gamma"]}
    return {n: lay_out(a, plan.parameter_layout, 0) for n, a in arrays.items()}


@dataclasses.dataclass(frozen=True)
class ScalingPlan:
    """All parameters of an input-normalization case.

    Attributes:
        form: of the whole training set; its channel axis holds the features.
        x, unseen: input types of the training set and of later data.
        chunks: extents of the chunks along axis 0; their sum is the extent of the training set.
        seed: of the values.
        layout: memory layout of the chunks, the training set and the later data.
    """

    form: Form
    x: str = "ordinary"
    unseen: str = "wide"
    chunks: tuple[int, ...] = ()
    seed: int = 0
    layout: str = "packed"


def input_norm_case(plan: ScalingPlan) -> Case:
    """Fit on the chunks, transform the training set, new data and one row of them, invert twice, transform again.

    Then fit again, on other data and on the whole set, with the same scaler (which must discard the earlier fit) and a new one.
    """
    form = plan.form
    rank, axis = len(form.shape), form.channel_axis
    config = LayerConfig(rank, axis, form.shape[axis], 0.0, 0.0, form.dtype, form.parameter_dtype, False)
    rng = np.random.RandomState(plan.seed % 2**32)
    whole = draw_x(plan.x, rng, config, form.shape)
    unseen = draw_x(plan.unseen, rng, config, (min(3, form.shape[0]) or 1, *form.shape[1:]))
    ends = np.cumsum((0, *plan.chunks)) if plan.chunks else np.array([0, form.shape[0]])
    chunks = {f"chunk{i}": whole[a:b].copy() for i, (a, b) in enumerate(itertools.pairwise(ends))}
    arrays = {"x": whole, "unseen": unseen, "normal": rng.standard_normal(unseen.shape).astype(whole.dtype), **chunks}
    if plan.layout != "packed":
        arrays = {name: lay_out(array, plan.layout, axis) for name, array in arrays.items()}
    arrays["origin"] = np.zeros_like(arrays["normal"])
    arrays["row"] = unseen[:1].copy()
    steps = (
        Step(FIT, tuple(chunks), fresh=True),
        Step(TRANSFORM, ("x",)),
        Step(TRANSFORM, ("unseen",)),
        Step(TRANSFORM, ("row",)),
        Step(INVERSE, ("normal",)),
        Step(INVERSE, ("origin",)),
        Step(TRANSFORM, ("x",)),
        Step(FIT, ("unseen",)),
        Step(TRANSFORM, ("unseen",)),
        Step(INVERSE, ("normal",)),
        Step(FIT, ("x",)),
        Step(FIT, ("x",), fresh=True),
    )
    return Case("input_norm", config, arrays, steps, {"plan": dataclasses.asdict(plan)})
