"""The oracle's answers to the further calls: second derivatives, derivatives along a direction, batches with padding."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from bnspec.arithmetic.quad import double, quad
from bnspec.bounds import batch_norm as bounds
from bnspec.bounds import second_order as second_order_bounds
from bnspec.bounds.batch_norm import Tier
from bnspec.bounds.second_order import SecondOrderError, Sizes
from bnspec.equations import second_order
from bnspec.equations.second_order import SecondOrder
from bnspec.exact.quantities import Cotangent, Normalisation
from bnspec.model.case import Case, Step
from bnspec.model.precision import Units
from bnspec.oracle.expected import Expected


def second_derivatives(
    case: Case,
    step: Step,
    norm: Normalisation,
    errors: Mapping[Tier, tuple[np.ndarray, np.ndarray]],
    units: Mapping[Tier, Units],
) -> dict[str, Expected]:
    """by_x, by_dy and, with affine, by_gamma: the gradients of <v, dx>, each with a bound per tier.

    Args:
        norm: x normalised by the statistics of the step's mode.
        errors: per tier the relative error of inv_std and the error of zhat (of which inference needs the first alone).
    """
    config, training = case.config, step.call.mode == "training"
    x, dy, v = (quad(case.arrays[n]) for n in step.inputs)
    gamma = quad(double(case.arrays.get("gamma", np.ones(config.channels)))).reshape(config.channel_shape)
    if training:
        value = second_order.training_second_order(x, dy, v, gamma, config.epsilon, config.reduce_axes)
    else:
        value = second_order.inference_second_order(dy, v, gamma, norm.var, config.epsilon, config.reduce_axes)
    of_dy, of_v = (Cotangent(norm, case.arrays[n]) for n in step.inputs[1:])
    none = np.zeros(config.channel_shape)
    by_x, by_dy, by_gamma, abs_gamma = (np.abs(double(a)) for a in (*value, gamma))
    sizes = Sizes(by_x, by_dy, by_gamma, abs_gamma, none, none)
    limits: dict[Tier, SecondOrderError] = {}
    for tier, precision in units.items():
        relative, zhat = errors[tier]
        if training:
            limits[tier] = second_order_bounds.training_error(of_dy, of_v, sizes, relative, zhat, precision, tier)
        else:
            limits[tier] = second_order_bounds.inference_error(of_dy, of_v, sizes, relative, precision, tier)
    names = SecondOrder._fields if config.affine else SecondOrder._fields[:2]
    answers = {}
    for name in names:
        exact = getattr(value, name)
        shape = (-1,) if name == "by_gamma" else exact.shape
        bounds_of = {t: np.broadcast_to(getattr(e, name), exact.shape).reshape(shape) for t, e in limits.items()}
        answers[name] = Expected(exact.reshape(shape), bounds_of)
    return answers


def inference_errors(norm: Normalisation, units: Mapping[Tier, Units]) -> dict[Tier, tuple[np.ndarray, np.ndarray]]:
    """Per tier the relative error of inv_std and the error of zhat, by statistics that are exact constants."""
    found = {}
    for tier, precision in units.items():
        relative = bounds.inv_std_error(norm, 0.0, precision.arithmetic)
        found[tier] = relative, bounds.normalised_error(norm, 0.0, relative, precision.arithmetic)
    return found


def compacted(case: Case, step: Step) -> tuple[Case, np.ndarray]:
    """The case of a masked call without its padding, as rows of shape (kept, C), and where the kept rows lie in x.

    Returns: a case of rank 2 whose step takes "x" and, with gradients, "dy"; a mask of x's shape without the channel axis.
    """
    config = case.config
    kept = np.moveaxis(case.arrays["mask"], config.channel_axis, -1)[..., 0].astype(bool)
    arrays = {n: a for n, a in case.arrays.items() if n in ("gamma", "beta", "running_mean", "running_var")}
    for name in step.inputs[:-1]:
        arrays[name] = np.moveaxis(case.arrays[name], config.channel_axis, -1)[kept]
    rows = Step(step.call.without_mask, step.inputs[:-1], fresh=True)
    flat = case.with_(config=dataclasses.replace(config, rank=2, channel_axis=1), arrays=arrays, steps=(rows,))
    return flat, kept


def spread_out(answers: Mapping[str, Expected], kept: np.ndarray, channel_axis: int) -> dict[str, Expected]:
    """The answers for the rows that a mask keeps, at their places in x: dx is 0 on the padding, of y nothing is said there."""
    whole = {}
    for name, answer in answers.items():
        if name not in ("y", "dx"):
            whole[name] = answer
            continue
        value = _scattered(answer.value, kept, channel_axis, 0.0)
        padding = math.nan if name == "y" else 0.0
        limits = {t: _scattered(b, kept, channel_axis, padding) for t, b in answer.bounds.items()}
        whole[name] = Expected(value, limits)
    return whole


def _scattered(rows: np.ndarray, kept: np.ndarray, channel_axis: int, padding: float) -> np.ndarray:
    """Rows of shape (kept, C) put back to where the mask keeps them, in x's shape; ``padding`` elsewhere."""
    whole = np.full((*kept.shape, rows.shape[-1]), padding, rows.dtype)
    whole[kept] = rows
    return np.moveaxis(whole, -1, channel_axis)
