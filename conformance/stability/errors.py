"""The error of each output in units of a roundoff, on a scale on which a well-conditioned computation is off by about 1.

    units = rms(got - exact) / (scale u)       rms over the elements of a channel; u of the dtype in which the output came back

With D = mean |dy|, m the count, all of the channel and exact:

    output                scale                              because
    y                     |gamma| std inv_std                rms of gamma zhat; |beta| is at most half of |gamma| in these data
    dx                    |gamma| inv_std D                  the size of what is scaled: dx = gamma inv_std (dy - ...)
    dgamma, dbeta         m D                                sums of m terms dy zhat and dy, zhat of rms 1
    running_mean          (1 - decay) sqrt(mean^2 + var)     the new part, (1 - decay) mean; the root holds where the mean is 0
    running_var           (1 - decay) var m / (m - c)        the new part, with the backend's correction c
    inference.y, .dx      as y and dx                        the state holds the batch's own statistics

Units times u is a relative error: at 1/u nothing is left. The rms over elements does not grow with their number, as their
maximum would; both are kept. A bound of the specification is put on the same scale as the rms of the elements' bounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from bnspec.bounds.batch_norm import Tier
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.precision import PRECISIONS
from bnspec.oracle.oracle import Expected, Oracle

Array = np.ndarray

TRAINING = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var")
OUTPUTS = (*TRAINING, "inference.y", "inference.dx")
#: The bounds that stand beside the measured curves.
REFERENCES: tuple[Tier, ...] = ("permissive", "good")


@dataclasses.dataclass(frozen=True)
class Errors:
    """One output's errors and bounds in units, one number per channel; a result that is not a number is infinitely off.

    ``dtype``: in which the output came back, and whose unit roundoff the units are of.
    """

    rms: Array
    largest: Array
    bounds: Mapping[Tier, Array]
    dtype: str


def scales(oracle: Oracle, conventions: Conventions) -> dict[str, Array]:
    """The scale of each output, shape (C,)."""
    config = oracle.case.config
    batch = oracle.batch("x", config.epsilon)
    m, var, mean = batch.count, batch.var64.reshape(-1), batch.abs_mean.reshape(-1)
    inv_std, gamma = 1.0 / np.sqrt(var + config.epsilon), oracle.affine.abs_gamma.reshape(-1)
    dy = np.mean(np.abs(oracle.case.arrays["dy"].astype(np.float64)), axis=config.reduce_axes)
    new, correction = 1.0 - config.decay, conventions.running_correction if m > 1 else 0
    shared = {"y": gamma * np.sqrt(var) * inv_std, "dx": gamma * inv_std * dy}
    return {
        **shared,
        "dgamma": m * dy,
        "dbeta": m * dy,
        "running_mean": new * np.sqrt(np.square(mean) + var),
        "running_var": new * var * m / (m - correction),
        **{f"inference.{name}": scale for name, scale in shared.items()},
    }


def errors_of(
    oracle: Oracle, observation: Observation, conventions: Conventions, scale: Mapping[str, Array]
) -> dict[str, Errors]:
    """Each output of a case of one step that ended well, by its name in ``OUTPUTS``."""
    case, step, result = oracle.case, oracle.case.steps[0], observation.steps[0]
    expected = oracle.expect(step, result.before, conventions)
    training = step.call.mode == "training"
    got = {**result.outputs, **result.after} if training else result.outputs
    names = [n for n in (TRAINING if training else ("y", "dx")) if n in expected and n in got]
    config, found = case.config, {}
    for name in names:
        output = name if training else f"inference.{name}"
        axes = config.reduce_axes if expected[name].rounded.ndim == config.rank else ()
        unit = PRECISIONS[got[name].dtype.name].unit_roundoff * scale[output]
        found[output] = _in_units(got[name], expected[name], axes, unit)
    return found


@np.errstate(all="ignore")
def _in_units(got: Array, expected: Expected, axes: tuple[int, ...], unit: Array) -> Errors:
    """|got - exact|, the difference formed in quad, and the bounds, each as rms over the axes in these units."""
    if got.shape != expected.rounded.shape:
        lost = np.full(unit.shape, np.inf)
        return Errors(lost, lost, {t: _rms(expected.bounds[t], axes) / unit for t in REFERENCES}, got.dtype.name)
    wide = got.astype(np.float64)
    off = np.abs((wide.astype(expected.value.dtype) - expected.value).astype(np.float64))
    off = np.where(np.isfinite(wide) & np.isfinite(off), off, np.inf)
    bounds = {t: _rms(expected.bounds[t], axes) / unit for t in REFERENCES}
    return Errors(_rms(off, axes) / unit, np.max(off, axis=axes) / unit, bounds, got.dtype.name)


def _rms(values: Array, axes: tuple[int, ...]) -> Array:
    """Root of the mean square over the axes, free of overflow."""
    largest = np.max(values, axis=axes, keepdims=True)
    safe = np.where(np.isfinite(largest) & (largest > 0.0), largest, 1.0)
    rms = safe * np.sqrt(np.mean(np.square(values / safe), axis=axes, keepdims=True))
    return np.asarray(np.where(np.isfinite(largest), rms, np.inf)).reshape(-1)
