"""The exact answers for a layer-normalization case, with their bounds.

Each row of y and dx depends on one sample, so selected samples can be evaluated alone, in quad precision. dgamma and dbeta are
sums over all samples: evaluated in quad precision for few elements and in float64 for many. The error of the float64
evaluation is at most 2^-29 of a narrower format's bound, and ``network.room`` covers it. With many float64 elements they are
not judged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from bnspec.arithmetic.quad import double, quad
from bnspec.bounds.layer_norm import LayerNormError, layer_norm_error, parameter_errors, zhat_error
from bnspec.equations.layer_norm import layer_norm, layer_norm_dx, layer_norm_parameter_gradients
from bnspec.exact.quantities import Batch
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.precision import Units, units_of
from bnspec.model.vocabulary import Tier
from bnspec.oracle.expected import TIERS, Expected
from bnspec.oracle.network import Rows, room
from bnspec.oracle.oracle import effective_epsilon

#: Up to this many elements of x, dgamma and dbeta are evaluated in quad precision.
FEW = 2**14
FEATURES = (1,)
UnitsOf = Mapping[Tier, Units]


def layer_norm_answers(case: Case, rows: np.ndarray, conventions: Conventions) -> dict[str, Expected]:
    """The exact answers for the last step of the case.

    Args:
        rows: the samples for which y and dx are evaluated; x with more than two axes is reshaped to (samples, features).
    Returns: y and, with a cotangent, dx of shape (rows, C), and dgamma and dbeta of shape (C,) where they are judged.
    """
    config, inputs = case.config, case.steps[-1].inputs
    units: UnitsOf = {t: units_of(conventions, config.dtype, config.parameter_dtype, t) for t in TIERS}
    epsilon = effective_epsilon(config.epsilon, conventions)
    flat = {n: case.arrays[n].reshape(-1, config.channels) for n in inputs}
    turned = dataclasses.replace(config, rank=2, channel_axis=0, epsilon=epsilon)
    gamma, beta = (quad(case.arrays[n]).reshape(1, -1) for n in ("gamma", "beta"))
    x = quad(flat["x"][rows])
    dy = quad(flat["dy"][rows]) if "dy" in flat else x  # without a cotangent the bounds of dx are not needed
    batch = Batch(dataclasses.replace(turned, channels=len(rows)), x)
    errors = {t: layer_norm_error(batch, dy, gamma, beta, u, t) for t, u in units.items()}
    answers = {"y": _expected(layer_norm(x, gamma, beta, epsilon, FEATURES), errors, "y")}
    if "dy" in flat:
        answers["dx"] = _expected(layer_norm_dx(x, dy, gamma, epsilon, FEATURES), errors, "dx")
        whole = dataclasses.replace(turned, channels=len(flat["x"]))
        if flat["x"].size <= FEW:
            answers.update(_sums(Batch(whole, quad(flat["x"])), quad(flat["dy"]), units, 0.0))
        elif config.dtype != "float64":
            answers.update(_sums(Rows(whole, double(flat["x"])), double(flat["dy"]), units, 1.0))
    return answers


def _expected(value: np.ndarray, errors: Mapping[Tier, LayerNormError], name: str) -> Expected:
    return Expected(value, {t: getattr(e, name) for t, e in errors.items()})


def _sums(batch: Batch, dy: np.ndarray, units: UnitsOf, evaluated: float) -> dict[str, Expected]:
    """dgamma and dbeta; ``evaluated``: 1 for evaluation in float64, 0 in quad precision."""
    values = layer_norm_parameter_gradients(batch.x, dy, batch.config.epsilon, FEATURES)
    norm, found = batch.normalisation(), {}
    per_tier = {t: parameter_errors(norm, dy, zhat_error(norm, u, t)[1], u, t) for t, u in units.items()}
    for i, name in enumerate(("dgamma", "dbeta")):
        bounds = {t: e[i].reshape(-1) * (1.0 + evaluated * (room(units[t]) - 1.0)) for t, e in per_tier.items()}
        found[name] = Expected(quad(values[i]).reshape(-1), bounds)
    return found
