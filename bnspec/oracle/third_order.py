"""The oracle's answers for third derivatives: exact values, and a bound for each tier."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnspec.arithmetic.quad import double, quad
from bnspec.bounds import third_order as third_order_bounds
from bnspec.equations.third_order import training_third_order
from bnspec.exact.quantities import Cotangent, Normalisation
from bnspec.model.case import Case, Step
from bnspec.model.precision import Units
from bnspec.model.vocabulary import Tier
from bnspec.oracle.expected import Expected, PerTier


def third_derivatives(
    case: Case,
    step: Step,
    norm: Normalisation,
    errors: Mapping[Tier, tuple[np.ndarray, np.ndarray]],
    units: Mapping[Tier, Units],
) -> dict[str, Expected]:
    """The gradient by x of the second derivative along v of <dy, y>, in training.

    Args:
        norm: x normalised by its own statistics.
        errors: per tier, the relative error of inv_std and the error of zhat.
    """
    config = case.config
    x, dy, v = (quad(case.arrays[n]) for n in step.inputs)
    gamma = quad(double(case.arrays.get("gamma", np.ones(config.channels)))).reshape(config.channel_shape)
    value = training_third_order(x, dy, v, gamma, config.epsilon, config.reduce_axes, norm.correction)
    of_dy, of_v = (Cotangent(norm, case.arrays[n]) for n in step.inputs[1:])
    sizes = np.abs(double(gamma)), np.abs(double(value))
    limits = PerTier(lambda t: third_order_bounds.training_error(of_dy, of_v, *sizes, errors[t], units[t], t))
    return {"third": Expected(value, limits)}
