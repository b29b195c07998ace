"""Clauses on placement, folding and layer normalization, held against the equations: exactly, in rationals."""

from __future__ import annotations

import numpy as np
import pytest
from claims import verifies
from series import Series, equal, exact, gradient, some, square_epsilon

from bnspec.equations import batch_norm as eq
from bnspec.equations import folding
from bnspec.equations.layer_norm import layer_norm, layer_norm_dx, layer_norm_parameter_gradients

AXES = (0,)
X, DY = some((5, 3), 1), some((5, 2), 2)
WEIGHT, BIAS = some((2, 3), 3), some((2,), 4)
GAMMA, BETA, MEAN = some((2,), 5), some((2,), 6), some((2,), 7)
Z = folding.linear(X, WEIGHT, BIAS)
EPSILON = square_epsilon(eq.batch_statistics(Z, AXES)[1])
VAR = square_epsilon(EPSILON[0])


def trained(weight: np.ndarray = WEIGHT, bias: np.ndarray = BIAS, epsilon: np.ndarray = EPSILON) -> np.ndarray:
    """y of Linear -> BN in training."""
    return eq.training_forward(folding.linear(X, weight, bias), GAMMA, BETA, epsilon, AXES)


def relu(values: np.ndarray) -> np.ndarray:
    """max(values, 0)."""
    return np.where(values > 0, values, exact(0)[()])


@verifies("placement.bias_cancels")
def test_a_bias_before_the_layer_changes_neither_y_nor_dx() -> None:
    """And moves the batch mean by itself."""
    without = folding.linear(X, WEIGHT, 0 * BIAS)
    assert equal(trained(), trained(bias=0 * BIAS))
    assert equal(*(eq.training_dx(z, DY, GAMMA, EPSILON, AXES) for z in (Z, without)))
    assert equal(eq.batch_statistics(Z, AXES)[0] - eq.batch_statistics(without, AXES)[0], BIAS[None])


@verifies("placement.bias_has_no_gradient")
def test_the_gradient_of_a_bias_before_the_layer_is_zero() -> None:
    """The exact derivative of a loss through Linear -> BN."""
    assert equal(gradient(lambda b: np.sum(DY * trained(bias=b)), BIAS), 0 * BIAS)


@verifies("placement.weight_scale_cancels")
def test_scaling_the_weights_keeps_y_and_divides_their_gradient() -> None:
    """With epsilon scaled by the square."""
    assert equal(trained(3 * WEIGHT, 3 * BIAS, 9 * EPSILON), trained())
    slope = gradient(lambda w: np.sum(DY * trained(w)), WEIGHT)
    scaled = gradient(lambda w: np.sum(DY * trained(w, BIAS, 9 * EPSILON)), 3 * WEIGHT)
    assert equal(3 * scaled, slope)


@verifies("placement.scale_and_shift")
def test_inference_is_one_scale_and_one_shift() -> None:
    """None of the parameters has its default value."""
    scale, shift = folding.scale_and_shift(GAMMA, BETA, MEAN, VAR, EPSILON[0])
    assert equal(Z * scale + shift, eq.inference_forward(Z, GAMMA, BETA, MEAN, VAR, EPSILON[0]))


@verifies("placement.folds_into_preceding")
def test_linear_then_batch_norm_folds_into_one_linear_map() -> None:
    """With a bias; a convolution's weight is scaled along its first axis."""
    scale, shift = folding.scale_and_shift(GAMMA, BETA, MEAN, VAR, EPSILON[0])
    folded = folding.fold_into_preceding(WEIGHT, BIAS, scale, shift)
    assert equal(folding.linear(X, *folded), eq.inference_forward(Z, GAMMA, BETA, MEAN, VAR, EPSILON[0]))
    kernel, _ = folding.fold_into_preceding(WEIGHT[:, :, None, None], BIAS, scale, shift)
    assert equal(kernel[:, :, 0, 0], folded[0])


@verifies("placement.folds_into_following")
def test_batch_norm_then_linear_folds_into_one_linear_map() -> None:
    """From the other side."""
    scale, shift = folding.scale_and_shift(GAMMA, BETA, MEAN, VAR, EPSILON[0])
    weight, bias = some((4, 2), 8), some((4,), 9)
    inferred = eq.inference_forward(Z, GAMMA, BETA, MEAN, VAR, EPSILON[0])
    folded = folding.fold_into_following(weight, bias, scale, shift)
    assert equal(folding.linear(Z, *folded), folding.linear(inferred, weight, bias))


@verifies("placement.order_is_kept")
def test_normalising_before_and_after_the_activation_are_different_functions() -> None:
    """After it the mean of each channel is beta, here 0; before it, it is positive."""
    ones, zeros = exact([[1, 1]]), exact([[0, 0]])
    activated = relu(Z)
    epsilon = square_epsilon(eq.batch_statistics(activated, AXES)[1])
    after = eq.training_forward(activated, ones, zeros, epsilon, AXES)
    before = relu(eq.training_forward(Z, ones, zeros, EPSILON, AXES))
    assert equal(np.mean(after, axis=0), zeros[0])
    assert (np.mean(before, axis=0) > 0).all()


@verifies("placement.fused_activation_gradients")
def test_the_gradients_of_a_fused_activation_are_those_of_its_masked_cotangent() -> None:
    """dx, dgamma and dbeta against the exact derivatives of relu(BN(z))."""
    mean, var = eq.batch_statistics(Z, AXES)
    zhat = eq.normalise(Z, mean, var, EPSILON)
    y = eq.affine(zhat, GAMMA, BETA)
    masked = DY * np.where(y > 0, 1, 0)
    assert 0 < np.sum(y > 0) < y.size

    def loss(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return np.sum(DY * relu(eq.training_forward(x, gamma, beta, EPSILON, AXES)))

    dgamma, dbeta = eq.parameter_gradients(zhat, masked, AXES)
    assert equal(eq.training_dx(Z, masked, GAMMA, EPSILON, AXES), gradient(lambda x: loss(x, GAMMA, BETA), Z))
    assert equal(dgamma[0], gradient(lambda g: loss(Z, g, BETA), GAMMA))
    assert equal(dbeta[0], gradient(lambda b: loss(Z, GAMMA, b), BETA))


# --- layer normalization: three samples of four features ----------------------------------------------------------------------

FEATURES = (1,)
SAMPLES, COTANGENT = some((3, 4), 11), some((3, 4), 12)
LN_GAMMA, LN_BETA = some((1, 4), 13), some((1, 4), 14)
LN_EPSILON = square_epsilon(eq.batch_statistics(SAMPLES, FEATURES)[1])


def normed(x: np.ndarray = SAMPLES, gamma: np.ndarray = LN_GAMMA, beta: np.ndarray = LN_BETA) -> np.ndarray:
    """y of layer normalization."""
    return layer_norm(x, gamma, beta, LN_EPSILON, FEATURES)


def ln_loss(y: np.ndarray) -> np.ndarray:
    """The scalar whose cotangent is COTANGENT."""
    return np.sum(COTANGENT * y)


@verifies("layernorm.output")
def test_layer_norm_is_the_batch_norm_of_the_transposed_batch_scaled_by_feature() -> None:
    """And its outputs with gamma 1 and beta 0 have mean 0 and variance var / (var + epsilon) in each sample."""
    ones, zeros = exact(np.ones((1, 4), int)), exact(np.zeros((1, 4), int))
    plain = normed(gamma=ones, beta=zeros)
    assert equal(plain.T, eq.training_forward(SAMPLES.T, ones[:, :3], zeros[:, :3], LN_EPSILON.T, (0,)))
    assert equal(normed(), plain * LN_GAMMA + LN_BETA)
    mean, var = eq.batch_statistics(plain, FEATURES)
    sample_var = eq.batch_statistics(SAMPLES, FEATURES)[1]
    assert equal(mean, 0 * mean)
    assert equal(var, sample_var / (sample_var + LN_EPSILON))


@verifies("layernorm.samples_are_independent")
@pytest.mark.parametrize("n", range(3))
def test_a_sample_alone_gives_what_it_gives_in_any_batch(n: int) -> None:
    """Statistics do not cross samples."""
    alone = layer_norm(SAMPLES[n : n + 1], LN_GAMMA, LN_BETA, LN_EPSILON[n : n + 1], FEATURES)
    assert equal(alone, normed()[n : n + 1])


@verifies("layernorm.shift_invariant")
def test_adding_a_constant_to_a_sample_changes_nothing() -> None:
    """Each sample by its own."""
    assert equal(normed(SAMPLES + exact([[10**6], [-5], [1]])), normed())


@verifies("layernorm.dx")
def test_dx_of_layer_norm_is_the_exact_derivative() -> None:
    """With gamma that differs along the reduced axis."""
    dx = layer_norm_dx(SAMPLES, COTANGENT, LN_GAMMA, LN_EPSILON, FEATURES)
    assert equal(dx, gradient(lambda x: ln_loss(normed(x)), SAMPLES))


@verifies("layernorm.parameter_gradients")
def test_the_parameter_gradients_of_layer_norm_are_the_exact_derivatives() -> None:
    """Summed over the samples."""
    dgamma, dbeta = layer_norm_parameter_gradients(SAMPLES, COTANGENT, LN_EPSILON, FEATURES)
    assert equal(dgamma, gradient(lambda g: ln_loss(normed(gamma=g)), LN_GAMMA))
    assert equal(dbeta, gradient(lambda b: ln_loss(normed(beta=b)), LN_BETA))


@verifies("layernorm.one_feature")
def test_one_feature_gives_beta_and_no_gradient_but_dbeta() -> None:
    """The feature is its own mean."""
    x, dy, gamma, beta = SAMPLES[:, :1], COTANGENT[:, :1], LN_GAMMA[:, :1], LN_BETA[:, :1]
    epsilon = exact([[1], [4], [9]])
    assert equal(layer_norm(x, gamma, beta, epsilon, FEATURES), beta + 0 * x)
    assert equal(layer_norm_dx(x, dy, gamma, epsilon, FEATURES), 0 * x)
    dgamma, dbeta = layer_norm_parameter_gradients(x, dy, epsilon, FEATURES)
    assert equal(dgamma, exact([[0]]))
    assert equal(dbeta, exact([[sum(dy.flat, Series(0))]]))
