"""What a layer is given as features: its state, gamma and beta, epsilon, decay and dtypes."""

from __future__ import annotations

import numpy as np

from bnspec.conformance.cases.shrinking import rebuilt, with_epsilon
from bnspec.conformance.causes.arrays import FLOATING, first_of, inputs_of, laid_out_like, with_arrays
from bnspec.conformance.causes.feature import Feature
from bnspec.conformance.causes.values import NOT_FINITE, kind_of_values, ordinary_of
from bnspec.model.case import Case

#: So small that a layer of ordinary variance does not depend on it, in float32 and in float64.
NEGLIGIBLE_EPSILON, NEGLIGIBLE_IN_FLOAT64 = 2.0**-40, 2.0**-80
ORDINARY_DECAY = 0.9
#: Not those of a new layer: a variance of 1 is its own root and its own inverse.
ORDINARY_STATE = {"running_mean": 0.25, "running_var": 2.0}


def _dtype_value(case: Case, _: int) -> str:
    config = case.config
    own = {config.dtype, config.parameter_dtype}
    if own == {"float32"}:
        return ""
    return config.dtype if len(own) == 1 else f"x {config.dtype}, parameters {config.parameter_dtype}"


def _in_float32(case: Case, _: int) -> Case | None:
    with np.errstate(over="ignore"):
        arrays = {n: laid_out_like(a.astype(np.float32), a) for n, a in case.arrays.items() if a.dtype.name in FLOATING}
    return with_arrays(case, arrays, dtype="float32", parameter_dtype="float32")


def _parameter(names: dict[str, float], feature: str) -> Feature:
    def others(case: Case) -> dict[str, np.ndarray]:
        there = {n: case.arrays[n] for n in names if n in case.arrays}
        return {n: a for n, a in there.items() if not (a.astype(np.float64) == names[n]).all()}

    def value(case: Case, _: int) -> str:
        found = others(case)
        if any(not np.isfinite(a.astype(np.float64)).all() for a in found.values()):
            return NOT_FINITE
        return "; ".join(f"{n} {np.array2string(a.astype(np.float64)[:3], separator=', ')}" for n, a in found.items())

    def changed(case: Case, _: int) -> Case | None:
        return with_arrays(case, {n: np.full(a.shape, names[n], a.dtype) for n, a in others(case).items()})

    return Feature(feature, ", ".join(f"{n} {v:g}" for n, v in names.items()), value, changed)


def _without_affine(case: Case, _: int) -> str:
    return "no gamma and beta" if case.subject == "batch_norm" and not case.config.affine else ""


def _with_affine(case: Case, _: int) -> Case | None:
    size, dtype = case.config.channels, case.arrays["running_mean"].dtype
    return with_arrays(case, {"gamma": np.ones(size, dtype), "beta": np.zeros(size, dtype)}, affine=True)


def _epsilon_value(case: Case, _: int) -> str:
    return f"{case.config.epsilon:g}" if case.subject != "input_norm" and case.config.epsilon else ""


def _small_epsilon_value(case: Case, _: int) -> str:
    """An epsilon that is negligible, or none: a layer may have a least one."""
    small = case.subject != "input_norm" and case.config.epsilon <= NEGLIGIBLE_EPSILON
    return f"{case.config.epsilon:g}" if small else ""


def _larger_variances(case: Case, _: int) -> Case | None:
    """Ordinary values, and variances beside which a tiny epsilon is nothing."""
    names = inputs_of(case)
    arrays = (
        {n: case.arrays[n] for n in names} if kind_of_values(case, names) == NOT_FINITE else ordinary_of(case, names)
    )
    if arrays is None:
        return None
    if "running_var" in case.arrays:
        own = case.arrays["running_var"]
        arrays["running_var"] = np.where(np.abs(own) < 1, own.dtype.type(2), own).astype(own.dtype)
    return with_arrays(case, arrays)


def _negligible_epsilon(case: Case, step: int) -> Case | None:
    """A tiny epsilon, and larger variances."""
    changed = _larger_variances(case, step)
    if changed is None:
        return None
    return with_other_epsilon(changed, NEGLIGIBLE_IN_FLOAT64 if case.config.dtype == "float64" else NEGLIGIBLE_EPSILON)


def _negligible_epsilon_alone(case: Case, _: int) -> Case | None:
    """A tiny epsilon beside the same variances."""
    return with_other_epsilon(case, NEGLIGIBLE_IN_FLOAT64)


def with_other_epsilon(case: Case, epsilon: float) -> Case | None:
    """The case with another epsilon."""
    return first_of(rebuilt(case, case.arrays, with_epsilon(case, epsilon), epsilon=epsilon))


def _decay_value(case: Case, _: int) -> str:
    usual = case.subject != "batch_norm" or case.config.decay == ORDINARY_DECAY
    return "" if usual else f"{case.config.decay:g}"


def _ordinary_decay(case: Case, _: int) -> Case | None:
    return first_of(rebuilt(case, case.arrays, decay=ORDINARY_DECAY))


DTYPE = Feature("dtype", "float32", _dtype_value, _in_float32)
STATE = _parameter(ORDINARY_STATE, "state")
AFFINE = Feature("affine", "gamma and beta", _without_affine, _with_affine)
GAMMA = _parameter({"gamma": 1.0}, "gamma")
BETA = _parameter({"beta": 0.0}, "beta")
EPSILON = Feature(
    "epsilon",
    "negligible beside the variance",
    _epsilon_value,
    _negligible_epsilon,
    frozenset({"values of x", "state"}),
    _larger_variances,
    _negligible_epsilon_alone,
)
#: What a negligible epsilon leaves may need that it is small, or 0.
SMALL_EPSILON = Feature(
    "epsilon",
    "1",
    _small_epsilon_value,
    lambda case, _: with_other_epsilon(case, 1.0),
    frozenset({"values of x", "state"}),
    alone=lambda case, _: with_other_epsilon(case, 1.0),
)
DECAY = Feature("decay", f"{ORDINARY_DECAY:g}", _decay_value, _ordinary_decay)
