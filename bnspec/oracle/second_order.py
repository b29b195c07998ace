"""The oracle's answers for second derivatives: exact values, and a bound for each tier."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnspec.arithmetic.quad import double, quad
from bnspec.bounds import batch_norm as bounds
from bnspec.bounds import second_order as second_order_bounds
from bnspec.bounds.second_order import SecondOrderError, Sizes
from bnspec.equations import second_order as equations
from bnspec.equations.second_order import SecondOrder
from bnspec.exact.quantities import Cotangent, Normalisation
from bnspec.model.case import Case, Step
from bnspec.model.precision import Units
from bnspec.model.vocabulary import Tier
from bnspec.oracle.expected import Expected, PerTier


def second_derivatives(
    case: Case,
    step: Step,
    norm: Normalisation,
    errors: Mapping[Tier, tuple[np.ndarray, np.ndarray]],
    units: Mapping[Tier, Units],
) -> dict[str, Expected]:
    """by_x, by_dy and, with affine, by_gamma: the gradients of <v, dx>, each with a bound per tier.

    Args:
        norm: x normalised by the statistics of the step's mode, with the correction of their variance.
        errors: per tier, the relative error of inv_std and the error of zhat (inference needs only the first).
    """
    config, training = case.config, step.call.mode == "training"
    x, dy, v = (quad(case.arrays[n]) for n in step.inputs)
    gamma = quad(double(case.arrays.get("gamma", np.ones(config.channels)))).reshape(config.channel_shape)
    if training:
        value = equations.training_second_order(x, dy, v, gamma, config.epsilon, config.reduce_axes, norm.correction)
    else:
        value = equations.inference_second_order(dy, v, gamma, norm.var, config.epsilon, config.reduce_axes)
    of_dy, of_v = (Cotangent(norm, case.arrays[n]) for n in step.inputs[1:])
    none = np.zeros(config.channel_shape)
    by_x, by_dy, by_gamma, abs_gamma = (np.abs(double(a)) for a in (*value, gamma))
    sizes = Sizes(by_x, by_dy, by_gamma, abs_gamma, none, none)

    def limit(tier: Tier) -> SecondOrderError:
        (relative, zhat), precision = errors[tier], units[tier]
        if training:
            return second_order_bounds.training_error(of_dy, of_v, sizes, relative, zhat, precision, tier)
        return second_order_bounds.inference_error(of_dy, of_v, sizes, relative, precision, tier)

    limits = PerTier(limit)
    names = SecondOrder._fields if config.affine else SecondOrder._fields[:2]
    answers = {}
    for name in names:
        exact = getattr(value, name)
        shape = (-1,) if name == "by_gamma" else exact.shape
        answers[name] = Expected(exact.reshape(shape), _shaped(limits, name, exact.shape, shape))
    return answers


def _shaped(
    limits: Mapping[Tier, SecondOrderError], name: str, like: tuple[int, ...], shape: tuple[int, ...]
) -> PerTier[np.ndarray]:
    """The bounds of one of the derivatives for each tier, with the shape of its value."""
    return PerTier(lambda tier: np.broadcast_to(getattr(limits[tier], name), like).reshape(shape))


def inference_errors(norm: Normalisation, units: Mapping[Tier, Units]) -> PerTier[tuple[np.ndarray, np.ndarray]]:
    """Per tier, the relative error of inv_std and the error of zhat, for statistics that are exact constants."""

    def error(tier: Tier) -> tuple[np.ndarray, np.ndarray]:
        precision = units[tier].arithmetic
        relative = bounds.inv_std_error(norm, 0.0, precision)
        return relative, bounds.normalised_error(norm, 0.0, relative, precision)

    return PerTier(error)
