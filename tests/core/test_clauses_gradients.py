"""Clauses on gradients of first and second order: every formula against the exact derivative of what it differentiates."""

from __future__ import annotations

import numpy as np
from claims import verifies
from series import Series, equal, exact, gradient, moving, rate, some, square_epsilon

from bnspec.backends.numpy.specification import NumpyLayer
from bnspec.contract import LayerConfig
from bnspec.equations import batch_norm as eq
from bnspec.equations.second_order import inference_second_order, training_second_order
from bnspec.equations.third_order import training_third_order

AXES = (0,)
X, DY, V = some((4, 2), 1), some((4, 2), 2), some((4, 2), 3)
GAMMA, BETA, RUNNING_MEAN = some((1, 2), 4), some((1, 2), 5), some((1, 2), 6)
MEAN, VAR = eq.batch_statistics(X, AXES)
EPSILON = square_epsilon(VAR)
RUNNING_VAR = exact([[3, 8]]) - EPSILON + exact([[1, 1]])
ZHAT = eq.normalise(X, MEAN, VAR, EPSILON)
DX = eq.training_dx(X, DY, GAMMA, EPSILON, AXES)


def trained(x: np.ndarray) -> np.ndarray:
    """y in training."""
    return eq.training_forward(x, GAMMA, BETA, EPSILON, AXES)


def inferred(
    x: np.ndarray = X, gamma: np.ndarray = GAMMA, beta: np.ndarray = BETA,
    mean: np.ndarray = RUNNING_MEAN, var: np.ndarray = RUNNING_VAR,
) -> np.ndarray:  # fmt: skip
    """y in inference."""
    return eq.inference_forward(x, gamma, beta, mean, var, EPSILON)


def loss(y: np.ndarray) -> np.ndarray:
    """The scalar whose cotangent is DY."""
    return np.sum(DY * y)


def test_the_training_gradients_are_the_exact_derivatives() -> None:
    """dx, dgamma and dbeta, with no rounding and no formula in between."""
    assert equal(DX, gradient(lambda x: loss(trained(x)), X))
    dgamma, dbeta = eq.parameter_gradients(ZHAT, DY, AXES)
    assert equal(dgamma, gradient(lambda g: loss(eq.affine(ZHAT, g, BETA)), GAMMA))
    assert equal(dbeta, gradient(lambda b: loss(eq.affine(ZHAT, GAMMA, b)), BETA))


@verifies("gradient.frozen_statistics")
def test_with_frozen_statistics_every_gradient_is_that_of_inference() -> None:
    """dx, dgamma and dbeta are the exact derivatives of the fixed map."""
    zhat = eq.normalise(X, RUNNING_MEAN, RUNNING_VAR, EPSILON)
    dgamma, dbeta = eq.parameter_gradients(zhat, DY, AXES)
    assert equal(eq.inference_dx(DY, GAMMA, RUNNING_VAR, EPSILON), gradient(lambda x: loss(inferred(x)), X))
    assert equal(dgamma, gradient(lambda g: loss(inferred(gamma=g)), GAMMA))
    assert equal(dbeta, gradient(lambda b: loss(inferred(beta=b)), BETA))


@verifies("gradient.none_through_the_running_update")
def test_dx_leaves_out_the_path_through_the_running_update() -> None:
    """The new running mean does depend on x; dx is the derivative of the loss of y alone."""

    def with_the_update(x: np.ndarray) -> np.ndarray:
        mean, _ = eq.batch_statistics(x, AXES)
        return loss(trained(x)) + np.sum(eq.running_mean_update(RUNNING_MEAN, mean, exact(0.75)[()]))

    assert equal(DX, gradient(lambda x: loss(trained(x)), X))
    assert equal(gradient(with_the_update, X) - DX, exact(np.full((4, 2), 0.25 / 4)))


@verifies("gradient.inference_statistics")
def test_the_gradients_of_the_running_statistics_are_the_exact_derivatives() -> None:
    """Where they are arguments."""
    dmean, dvar = eq.inference_statistics_gradients(X, DY, GAMMA, RUNNING_MEAN, RUNNING_VAR, EPSILON, AXES)
    assert equal(dmean, gradient(lambda m: loss(inferred(mean=m)), RUNNING_MEAN))
    assert equal(dvar, gradient(lambda v: loss(inferred(var=v)), RUNNING_VAR))


@verifies("gradient.linear_in_the_cotangent")
def test_every_gradient_is_linear_in_the_cotangent() -> None:
    """In both modes."""
    for function in (
        lambda dy: eq.training_dx(X, dy, GAMMA, EPSILON, AXES),
        lambda dy: eq.inference_dx(dy, GAMMA, RUNNING_VAR, EPSILON),
        lambda dy: np.concatenate(eq.parameter_gradients(ZHAT, dy, AXES)),
    ):
        assert equal(function(3 * DY - 2 * V), 3 * function(DY) - 2 * function(V))


@verifies("gradient.orthogonality")
def test_dx_is_orthogonal_to_constants_and_nearly_to_the_normalised_values() -> None:
    """sum(dx) = 0,  sum(dx zhat) = gamma inv_std dgamma epsilon / (var + epsilon)."""
    dgamma, _ = eq.parameter_gradients(ZHAT, DY, AXES)
    left = GAMMA * eq.inv_std(VAR, EPSILON) * dgamma * EPSILON / (VAR + EPSILON)
    assert equal(np.sum(DX, axis=0, keepdims=True), 0 * GAMMA)
    assert equal(np.sum(DX * ZHAT, axis=0, keepdims=True), left)


@verifies("gradient.each_argument_alone")
def test_each_gradient_is_the_same_alone_among_others_and_again() -> None:
    """Bitwise, in the working precision: from a layer called twice, and each from its own equation."""
    random = np.random.default_rng(7)
    x, dy, channels = (random.normal(size=shape).astype("float32") for shape in ((4, 2), (4, 2), (2,)))
    config = LayerConfig(2, 1, 2, 0.25, 1.0, "float32", "float32")
    layer = NumpyLayer(config, channels, channels, channels.copy(), np.ones(2, "float32"))
    first, second = layer.training_gradients(x, dy), layer.training_gradients(x, dy)
    zhat = eq.normalise(x, *eq.batch_statistics(x, AXES), config.epsilon)
    dx = eq.training_dx(x, dy, channels.reshape(1, 2), config.epsilon, AXES)
    alone = (dx, *(g.reshape(-1) for g in eq.parameter_gradients(zhat, dy, AXES)))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(first[1:], alone, strict=True))


@verifies("gradient.forward_mode")
def test_the_derivative_along_a_direction_is_dx_with_the_direction_for_dy() -> None:
    """Forward and reverse mode are one expression."""
    assert equal(rate(trained(moving(X, V))), eq.training_dx(X, V, GAMMA, EPSILON, AXES))


def along(dx: np.ndarray) -> np.ndarray:
    """<v, dx>."""
    return np.sum(V * dx)


@verifies("second_order.training")
def test_the_second_derivative_by_x_differentiates_the_statistics_too() -> None:
    """Against the exact derivative of dx."""
    second = training_second_order(X, DY, V, GAMMA, EPSILON, AXES)
    assert equal(second.by_x, gradient(lambda x: along(eq.training_dx(x, DY, GAMMA, EPSILON, AXES)), X))


@verifies("second_order.gradient_of_the_tangent")
def test_the_gradient_of_the_tangent_is_the_second_derivative() -> None:
    """Against the exact derivative of <dy, y along v>."""
    second = training_second_order(X, DY, V, GAMMA, EPSILON, AXES)
    tangent = lambda x: eq.training_dx(x, V, GAMMA, EPSILON, AXES)
    assert equal(second.by_x, gradient(lambda x: np.sum(DY * tangent(x)), X))


@verifies("second_order.third_derivative")
def test_the_third_derivative_differentiates_the_statistics_of_the_second() -> None:
    """Against the exact derivative of <v, by_x>."""
    third = training_third_order(X, DY, V, GAMMA, EPSILON, AXES)
    by_x = lambda x: training_second_order(x, DY, V, GAMMA, EPSILON, AXES).by_x
    assert equal(third, gradient(lambda x: along(by_x(x)), X))


@verifies("second_order.cotangent_and_scale")
def test_the_second_derivatives_by_dy_and_gamma_are_exact() -> None:
    """Both from dx being linear in them."""
    second = training_second_order(X, DY, V, GAMMA, EPSILON, AXES)
    assert equal(second.by_dy, gradient(lambda dy: along(eq.training_dx(X, dy, GAMMA, EPSILON, AXES)), DY))
    assert equal(second.by_gamma, gradient(lambda g: along(eq.training_dx(X, DY, g, EPSILON, AXES)), GAMMA))


@verifies("second_order.inference")
def test_in_inference_dx_does_not_depend_on_x() -> None:
    """The second coefficient of y along a direction is 0; the derivatives by dy and gamma are those of a product."""
    second = inference_second_order(DY, V, GAMMA, RUNNING_VAR, EPSILON, AXES)
    curve = inferred(X + V * Series(0, 1, 0))
    assert all(value.coefficients[2] == 0 for value in curve.flat)
    assert equal(second.by_x, 0 * X)
    assert equal(second.by_dy, gradient(lambda dy: along(eq.inference_dx(dy, GAMMA, RUNNING_VAR, EPSILON)), DY))
    assert equal(second.by_gamma, gradient(lambda g: along(eq.inference_dx(DY, g, RUNNING_VAR, EPSILON)), GAMMA))
