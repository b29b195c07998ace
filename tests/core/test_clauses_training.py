"""Clauses on training statistics, epsilon, layout and degenerate counts, held against the equations: exactly, in rationals."""

from __future__ import annotations

import numpy as np
import pytest
from claims import verifies
from series import Series, equal, exact, some, square_epsilon

from bnspec.equations import batch_norm as eq

AXES = (0,)
X, DY, GAMMA, BETA = some((5, 3), 1), some((5, 3), 2), some((1, 3), 3), some((1, 3), 4)
MEAN, VAR = eq.batch_statistics(X, AXES)
EPSILON = square_epsilon(VAR)


def forward(x: np.ndarray, epsilon: np.ndarray = EPSILON, axes: eq.Axes = AXES) -> np.ndarray:
    """y in training."""
    return eq.training_forward(x, GAMMA, BETA, epsilon, axes)


def dx_of(x: np.ndarray, epsilon: np.ndarray = EPSILON) -> np.ndarray:
    """dx in training."""
    return eq.training_dx(x, DY, GAMMA, epsilon, AXES)


@verifies("training.shift_invariant")
def test_adding_a_constant_to_a_channel_changes_neither_y_nor_dx() -> None:
    """Each channel by its own constant, large and small."""
    moved = X + exact([[10**6, Series(1, 0).coefficients[0] / 3, -7]])
    assert equal(forward(moved), forward(X))
    assert equal(dx_of(moved), dx_of(X))


@verifies("training.scale_equivariant")
@pytest.mark.parametrize("a", [3, -3])
def test_scaling_a_channel_and_epsilon_keeps_the_normalised_value_up_to_sign(a: int) -> None:
    """zhat(a x; a^2 epsilon) = sign(a) zhat(x; epsilon)."""
    zhat = eq.normalise(X, MEAN, VAR, EPSILON)
    scaled = eq.normalise(a * X, *eq.batch_statistics(a * X, AXES), a * a * EPSILON)
    assert equal(scaled, np.sign(a) * zhat)


@verifies("training.output_moments")
def test_y_has_mean_beta_and_the_variance_that_epsilon_leaves() -> None:
    """mean(y) = beta,  var(y) = gamma^2 var / (var + epsilon)."""
    mean, var = eq.batch_statistics(forward(X), AXES)
    assert equal(mean, BETA)
    assert equal(var, GAMMA * GAMMA * VAR / (VAR + EPSILON))


@verifies("training.order_of_elements")
def test_permuting_the_elements_permutes_y_and_dx() -> None:
    """And leaves the statistics as they are."""
    order = [3, 0, 4, 1, 2]
    assert all(equal(a, b) for a, b in zip(eq.batch_statistics(X[order], AXES), (MEAN, VAR), strict=True))
    assert equal(forward(X[order]), forward(X)[order])
    assert equal(eq.training_dx(X[order], DY[order], GAMMA, EPSILON, AXES), dx_of(X)[order])


@verifies("epsilon.only_the_sum_counts")
def test_moving_a_part_of_the_variance_to_epsilon_changes_nothing() -> None:
    """The sum stays, and so does y."""
    part = exact([[1, 2, 0]]) / 3
    moved = eq.inference_forward(X, GAMMA, BETA, MEAN, VAR - part, EPSILON + part)
    assert equal(moved, eq.inference_forward(X, GAMMA, BETA, MEAN, VAR, EPSILON))


@verifies("layout.joined_axes")
def test_joining_the_reduced_axes_changes_nothing() -> None:
    """(2, 1, 3, C) and (6, C) hold the same channels."""
    x, dy = some((2, 1, 3, 3), 5), some((2, 1, 3, 3), 6)
    flat, flat_dy, apart = x.reshape(6, 3), dy.reshape(6, 3), (0, 1, 2)
    epsilon = square_epsilon(eq.batch_statistics(flat, AXES)[1])
    assert equal(forward(x, epsilon, apart).reshape(6, 3), forward(flat, epsilon))
    wide = eq.training_dx(x, dy, GAMMA, epsilon, apart)
    assert equal(wide.reshape(6, 3), eq.training_dx(flat, flat_dy, GAMMA, epsilon, AXES))


@verifies("layout.channels_permute")
def test_permuting_the_channels_of_all_arguments_permutes_those_of_all_results() -> None:
    """y, dx and both parameters' gradients."""
    order = [2, 0, 1]
    x, dy, gamma, beta, epsilon = (a[:, order] for a in (X, DY, GAMMA, BETA, EPSILON))
    assert equal(eq.training_forward(x, gamma, beta, epsilon, AXES), forward(X)[:, order])
    assert equal(eq.training_dx(x, dy, gamma, epsilon, AXES), dx_of(X)[:, order])
    zhat = eq.normalise(X, MEAN, VAR, EPSILON)
    permuted = eq.parameter_gradients(zhat[:, order], dy, AXES)
    assert all(equal(p, g[:, order]) for p, g in zip(permuted, eq.parameter_gradients(zhat, DY, AXES), strict=True))


@verifies("degenerate.constant_channel")
def test_a_constant_channel_gives_beta_and_finite_gradients() -> None:
    """dx = gamma / sqrt(epsilon) (dy - mean(dy)),  dgamma = 0."""
    x, epsilon = exact(np.full((5, 3), 7)), exact([[4, 9, 1]])
    assert equal(forward(x, epsilon), BETA + 0 * X)
    assert equal(dx_of(x, epsilon), GAMMA / np.sqrt(epsilon) * (DY - np.mean(DY, axis=0, keepdims=True)))
    zhat = eq.normalise(x, *eq.batch_statistics(x, AXES), epsilon)
    assert equal(eq.parameter_gradients(zhat, DY, AXES)[0], 0 * GAMMA)


@verifies("degenerate.gradients_of_count_one")
def test_one_value_per_channel_gives_beta_and_no_gradient_but_dbeta() -> None:
    """The value is its own mean."""
    x, dy, epsilon = X[:1], DY[:1], exact([[4, 9, 1]])
    assert equal(forward(x, epsilon), BETA)
    assert equal(eq.training_dx(x, dy, GAMMA, epsilon, AXES), 0 * x)
    zhat = eq.normalise(x, *eq.batch_statistics(x, AXES), epsilon)
    dgamma, dbeta = eq.parameter_gradients(zhat, dy, AXES)
    assert equal(dgamma, 0 * GAMMA)
    assert equal(dbeta, dy)


@verifies("degenerate.gradients_of_empty_batch")
def test_an_empty_batch_has_parameter_gradients_of_zero() -> None:
    """An empty sum; y and dx of an inference on it are empty."""
    empty, one = np.zeros((0, 3)), np.ones((1, 3))
    dgamma, dbeta = eq.parameter_gradients(empty, empty, AXES)
    assert np.array_equal(dgamma, 0 * one)
    assert np.array_equal(dbeta, 0 * one)
    assert eq.inference_forward(empty, one, one, one, one, 1.0).shape == (0, 3)
    assert eq.inference_dx(empty, one, one, 1.0).shape == (0, 3)
