"""The second derivatives against those of the first-order text, and their bounds against algorithms in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dual_numbers import Dual, constants, gradient

from bnspec.arithmetic.balls import at_precision, ball
from bnspec.arithmetic.quad import double, quad
from bnspec.bounds import second_order as second_order_bounds
from bnspec.bounds.second_order import SecondOrderError, Sizes
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.equations import batch_norm as eq
from bnspec.equations import second_order
from bnspec.equations.second_order import SecondOrder
from bnspec.exact.quantities import Cotangent, Normalisation
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions, Correction
from bnspec.model.precision import units_of
from bnspec.model.vocabulary import Tier
from bnspec.oracle.oracle import Oracle

BITS = 256
SHAPES = ((3, 1), (4, 2), (2, 2, 3))
KINDS = ("ordinary", "mean_1e2", "mean_1e4", "wide", "like_epsilon", "outlier", "exact", "sorted")
MODES = ("training", "corrected", "inference")
#: The normalising correction of each way of training.
CORRECTION: dict[str, Correction] = {"training": 0, "corrected": 1}
#: Which cotangents there are beside dy: of dx, of dgamma, of dbeta.
UPSTREAM = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0))
Arrays = dict[str, Any]


def arrays_of(
    kind: str, shape: tuple[int, ...], dtype: str, seed: int, weights: tuple[float, ...]
) -> tuple[Case, Arrays]:
    """A case, and its arrays with cotangents of dx (v), dgamma and dbeta; those of shape (C,) broadcast against x."""
    case = batch_norm_case(Plan(Form(shape, 1, dtype, dtype), kind, epsilon=0.25 / (1 + seed), seed=seed))
    arrays = {n: a if a.ndim > 1 else a.reshape(case.config.channel_shape) for n, a in case.arrays.items()}
    rng, parameter = np.random.RandomState(seed), arrays["gamma"].shape
    for name, weight, size in zip(("v", "ddgamma", "ddbeta"), weights, (shape, parameter, parameter), strict=True):
        arrays[name] = (weight * rng.standard_normal(size)).astype(dtype)
    return case, arrays


def written(mode: str, arrays: Arrays, epsilon: float, axes: eq.Axes) -> SecondOrder:
    """The second derivatives as the equations give them."""
    x, dy, v, gamma, ddgamma, ddbeta, mean, var = (
        arrays[n] for n in ("x", "dy", "v", "gamma", "ddgamma", "ddbeta", "running_mean", "running_var")
    )
    if mode in CORRECTION:
        k = CORRECTION[mode]
        of_dx = second_order.training_second_order(x, dy, v, gamma, epsilon, axes, k)
        return of_dx.plus(second_order.training_parameter_second_order(x, dy, ddgamma, ddbeta, epsilon, axes, k))
    of_dx = second_order.inference_second_order(dy, v, gamma, var, epsilon, axes)
    return of_dx.plus(second_order.inference_parameter_second_order(x, dy, ddgamma, ddbeta, mean, var, epsilon))


def first_order(mode: str, arrays: Arrays, epsilon: float, axes: eq.Axes) -> Any:
    """<v, dx> + <ddgamma, dgamma> + <ddbeta, dbeta> by the first-order text."""
    x, dy, gamma = (arrays[n] for n in ("x", "dy", "gamma"))
    if mode in CORRECTION:
        mean, var = eq.batch_statistics(x, axes, CORRECTION[mode])
        dx = eq.training_dx(x, dy, gamma, epsilon, axes, CORRECTION[mode])
    else:
        mean, var = arrays["running_mean"], arrays["running_var"]
        dx = eq.inference_dx(dy, gamma, var, epsilon)
    dgamma, dbeta = eq.parameter_gradients(eq.normalise(x, mean, var, epsilon), dy, axes)
    return np.sum(arrays["v"] * dx) + np.sum(arrays["ddgamma"] * dgamma) + np.sum(arrays["ddbeta"] * dbeta)


def derived(mode: str, arrays: Arrays, epsilon: float, axes: eq.Axes) -> SecondOrder:
    """The second derivatives as dual numbers find them in the first-order text."""

    def by(name: str) -> Any:
        return gradient(lambda v: first_order(mode, {**arrays, name: v}, epsilon, axes), arrays[name])

    return SecondOrder(by("x"), by("dy"), by("gamma"))


@pytest.mark.parametrize("weights", UPSTREAM)
@pytest.mark.parametrize("mode", MODES)
def test_the_second_derivatives_are_those_of_the_first_order_text(mode: str, weights: tuple[float, ...]) -> None:
    """Two enclosures of each number, by the equations and by dual numbers, meet; all are narrow."""
    for seed, (shape, kind) in enumerate(zip(SHAPES, ("ordinary", "mean_1e4", "like_epsilon"), strict=True)):
        case, given = arrays_of(kind, shape, "float64", seed, weights)
        arrays, epsilon, axes = {n: ball(a) for n, a in given.items()}, case.config.epsilon, case.config.reduce_axes

        def both(a: Arrays = arrays, e: float = epsilon, axes: eq.Axes = axes) -> tuple[SecondOrder, SecondOrder]:
            return written(mode, a, e, axes), derived(mode, a, e, axes)

        for name, said, found in zip(SecondOrder._fields, *at_precision(BITS, both), strict=True):
            pairs = list(zip(said.reshape(-1), found.reshape(-1), strict=True))
            assert all(p.overlaps(q) for p, q in pairs), name
            assert all(b.rad() < 2.0**-100 * (1 + abs(b)) for pair in pairs for b in pair), name


def bounds_of(mode: str, case: Case, arrays: Arrays, exact: SecondOrder, tier: Tier) -> SecondOrderError:
    """The a-priori bounds of a case."""
    oracle, epsilon = Oracle(case), case.config.epsilon
    conventions = Conventions(normalising_correction=CORRECTION.get(mode, 0))
    units = units_of(conventions, case.config.dtype, case.config.parameter_dtype, tier)
    sizes = Sizes(*(np.abs(double(a)) for a in (*exact, *(arrays[n] for n in ("gamma", "ddgamma", "ddbeta")))))
    batch = oracle.batch("x", epsilon)
    if mode in CORRECTION:
        own = oracle.normalisation("x", epsilon, CORRECTION[mode])
        dy, v = (Cotangent(own, arrays[n]) for n in ("dy", "v"))
        return second_order_bounds.training_error(
            dy, v, sizes, *oracle.judged(conventions).errors("x", tier), units, tier
        )
    norm = Normalisation(batch, *(quad(arrays[n]) for n in ("running_mean", "running_var")))
    relative = second_order_bounds.bounds.inv_std_error(norm, 0.0, units.arithmetic)
    dy, v = (Cotangent(norm, arrays[n]) for n in ("dy", "v"))
    return second_order_bounds.inference_error(dy, v, sizes, relative, units, tier)


def in_float32(mode: str, arrays: Arrays, epsilon: float, axes: eq.Axes) -> SecondOrder:
    """The equations in float32."""
    return written(mode, arrays, np.float32(epsilon), axes)


def accumulated_wider(mode: str, arrays: Arrays, epsilon: float, axes: eq.Axes) -> SecondOrder:
    """The equations in float64, stored in float32."""
    wide = written(mode, {n: a.astype(np.float64) for n, a in arrays.items()}, epsilon, axes)
    return SecondOrder(*(a.astype(np.float32) for a in wide))


def differentiated(mode: str, arrays: Arrays, epsilon: float, axes: eq.Axes) -> SecondOrder:
    """The first-order text in float32, differentiated by dual numbers: what an automatic composition does, sums in a row."""
    found = derived(mode, {n: constants(a) for n, a in arrays.items()}, np.float32(epsilon), axes)
    return SecondOrder(*(a.astype(np.float32) for a in found))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", [in_float32, accumulated_wider, differentiated])
def test_the_bounds_hold_for(algorithm: Any, mode: str, kind: str) -> None:
    """No algorithm leaves the permissive bound of any element; the bounds are finite."""
    for seed, weights in enumerate(UPSTREAM):
        case, arrays = arrays_of(kind, (4, 3, 5), "float32", seed, weights)
        epsilon, axes = case.config.epsilon, case.config.reduce_axes
        exact = written(mode, {n: quad(a) for n, a in arrays.items()}, epsilon, axes)
        limits = bounds_of(mode, case, arrays, exact, "permissive")
        for name, got, want, limit in zip(
            SecondOrder._fields, algorithm(mode, arrays, epsilon, axes), exact, limits, strict=True
        ):
            error = np.abs(double(quad(got) - want))
            assert (error <= limit).all(), (name, weights, float(np.max(error / limit)))
            assert np.isfinite(limit).all(), (name, weights)


@pytest.mark.parametrize("mode", MODES)
def test_the_bounds_are_informative(mode: str) -> None:
    """On ordinary data a byte of by_x and by_dy is demanded, which no wrong formula gets right; by_gamma is a sum that cancels."""
    case, arrays = arrays_of("ordinary", (4, 3, 5), "float32", 1, UPSTREAM[-1])
    exact = written(mode, {n: quad(a) for n, a in arrays.items()}, case.config.epsilon, case.config.reduce_axes)
    byte = 2.0**-8
    for tier in ("permissive", "good"):
        limits = bounds_of(mode, case, arrays, exact, tier)
        for name in ("by_x", "by_dy"):
            want, limit = getattr(exact, name), getattr(limits, name)
            assert np.median(limit) <= byte * np.median(np.abs(double(want))), (name, tier)


def test_dual_numbers_differentiate() -> None:
    """At 4 the derivative of x sqrt(x) is (3/2) sqrt(x) = 3, and that of 8 / x is -8 / x^2 = -1/2."""
    x = Dual(np.float64(4.0), np.float64(1.0))
    assert (x * x.sqrt()).derivative == 3.0
    assert (8.0 / x).derivative == -0.5
