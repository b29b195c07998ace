"""Clauses on special values, dtypes, refusals and input normalization, held against the specification."""

from __future__ import annotations

import numpy as np
import pytest
from claims import verifies
from series import equal, exact, some

from bnspec.arithmetic.quad import double, quad
from bnspec.backends.numpy.specification import NumpyLayer, NumpyScaler
from bnspec.contract import LayerConfig
from bnspec.equations import batch_norm as eq
from bnspec.equations import input_normalization as inputs
from bnspec.errors import UsageError
from bnspec.model.arguments import malformed
from bnspec.model.precision import PRECISIONS

AXES = (0,)
DRAW = np.random.default_rng(5).normal(size=(6, 3))


@pytest.mark.parametrize("arithmetic", [np.asarray, quad], ids=["double", "quad"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_infinity_makes_its_channel_nan_and_no_other(arithmetic: type, sign: float) -> None:
    """In both arithmetics."""
    x = DRAW.copy()
    x[2, 1] = sign * np.inf
    with np.errstate(invalid="ignore"):
        y = double(eq.training_forward(arithmetic(x), quad(2.0), quad(1.0), 0.25, AXES))
    assert np.isnan(y[:, 1]).all()
    assert np.isfinite(y[:, [0, 2]]).all()


@verifies("special.overflow_is_not_finite")
def test_values_whose_squares_overflow_are_normalised_like_small_ones() -> None:
    """At 2^100 times the size, with epsilon scaled by 2^200: the oracle gives the same bits, where float32 has no squares."""
    small = quad(DRAW.astype("float32"))
    large = small * quad(2.0**100)
    assert np.max(double(large)) < PRECISIONS["float32"].largest < np.max(double(large * large))
    zhat = eq.normalise(small, *eq.batch_statistics(small, AXES), quad(0.25))
    scaled = eq.normalise(large, *eq.batch_statistics(large, AXES), quad(0.25) * quad(2.0**200))
    assert np.array_equal(zhat, scaled)


@verifies("special.poisoned_state")
@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_a_nan_in_the_running_statistics_stays(decay: float) -> None:
    """0 * NaN is NaN: not even replacing by a finite batch removes it."""
    old, batch = np.array([np.nan, 1.0]), np.array([2.0, 2.0])
    for update in (eq.running_mean_update(old, batch, decay), eq.running_var_update(old, batch, 4, decay, 1)):
        assert np.array_equal(np.isnan(update), [True, False])


@verifies("special.subnormal_numbers")
def test_flushing_subnormal_values_moves_y_by_no_more_than_the_jacobian_allows() -> None:
    """|gamma| / sqrt(epsilon) sqrt(m) times the smallest normal number; some values are subnormal in float32."""
    smallest = PRECISIONS["float32"].smallest
    x = DRAW * smallest
    flushed = np.where(np.abs(x) < smallest, 0.0, x)
    assert 0 < np.sum(flushed == 0.0) < x.size
    epsilon, gamma = quad(smallest) * quad(smallest), quad(-3.0)
    y, moved = (eq.training_forward(quad(v), gamma, quad(1.0), epsilon, AXES) for v in (x, flushed))
    bound = quad(3.0) / np.sqrt(epsilon) * np.sqrt(quad(6.0)) * quad(smallest)
    assert (np.abs(moved - y) <= bound).all()
    assert (np.abs(moved - y) > quad(0.0)).any()


@verifies("special.negative_variance_is_shown")
@pytest.mark.parametrize("arithmetic", [np.asarray, quad], ids=["double", "quad"])
def test_a_running_variance_below_minus_epsilon_gives_nan(arithmetic: type) -> None:
    """The root of a negative number."""
    x, mean, var = (arithmetic(a) for a in (DRAW, np.zeros((1, 3)), np.array([[1.0, -1.0, 4.0]])))
    with np.errstate(invalid="ignore"):
        y = double(eq.inference_forward(x, quad(1.0), quad(0.0), mean, var, 0.25))
    assert np.array_equal(np.isnan(y).all(axis=0), [False, True, False])


@verifies("dtype.parameters_are_not_narrowed")
def test_a_running_variance_that_half_precision_cannot_hold_is_used_as_it_is() -> None:
    """1e5 is infinite in float16: y would be beta. And epsilon would be 0 there."""
    channels = np.array([300.0, 2.0, 1.0], "float32")
    beta, mean, var = np.zeros(3, "float32"), np.zeros(3, "float32"), np.full(3, 1e5, "float32")
    config = LayerConfig(2, 1, 3, 1e-9, 0.5, "float16", "float32")
    x = (DRAW * 100).astype("float16")
    y = NumpyLayer(config, channels, beta, mean, var).inference(x)
    wide = eq.inference_forward(x.astype("float32"), channels, beta, mean, var, config.epsilon)
    assert np.array_equal(y, wide.astype("float16"))
    assert (y != 0).all()


@verifies("dtype.integers_become_floating")
def test_integer_x_is_normalised_like_the_same_floating_values() -> None:
    """Bitwise; the result is floating and has both signs."""
    pixels = np.array([[0, 255, 7], [200, 1, 9], [100, 30, 11]], "uint8")
    y = eq.training_forward(pixels, 1.0, 0.0, 0.25, AXES)
    assert np.array_equal(y, eq.training_forward(pixels.astype(float), 1.0, 0.0, 0.25, AXES))
    assert y.dtype == np.float64
    assert (y < 0).any()


# --- refusals -----------------------------------------------------------------------------------------------------------------

GOOD = dict.fromkeys(("gamma", "beta", "running_mean", "running_var"), (3,))


def test_a_well_formed_call_has_nothing_wrong() -> None:
    """The valid twin of the cases below; gamma and beta may be absent."""
    assert malformed((8, 3, 5), 1, GOOD, (8, 3, 5)) == ""
    assert malformed((8, 5, 3), 2, {"running_mean": (3,), "running_var": (3,)}) == ""


@verifies("errors.malformed_parameters", "errors.name_the_argument")
@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("shape", [(2,), (3, 1), (1,), ()])
def test_parameters_of_another_shape_are_refused_by_name(name: str, shape: tuple[int, ...]) -> None:
    """The sentence says which, what it is, and what it should be."""
    said = malformed((8, 3, 5), 1, {**GOOD, name: shape})
    assert all(word in said for word in (name, str(shape), "(3,)"))


@verifies("errors.malformed_data", "errors.name_the_argument")
def test_data_without_channel_or_reduced_axis_and_other_cotangents_are_refused() -> None:
    """Each by the name of the argument that is wrong."""
    assert "x has shape (3,)" in malformed((3,), 0, GOOD)
    assert "channel_axis is 3" in malformed((8, 3, 5), 3, GOOD)
    assert "dy has shape (8, 3), expected (8, 3, 5)" in malformed((8, 3, 5), 1, GOOD, (8, 3))


# --- input normalization ------------------------------------------------------------------------------------------------------

#: Features whose variances are squares: 1, 25 and 9.
TRAIN = exact([[1, -5, 0], [3, 5, 6], [3, 5, 6], [1, -5, 0]])


def fitted(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of a training set that came in two chunks."""
    total = inputs.fit([x[:1], x[1:]], AXES)
    return total.mean, np.sqrt(total.var)


@verifies("input.equals_batch_norm")
def test_input_normalization_is_batch_norm_of_the_training_set_as_one_batch() -> None:
    """With gamma 1, beta 0 and epsilon 0."""
    one, zero = exact([[1, 1, 1]]), exact([[0, 0, 0]])
    batch_norm = eq.training_forward(TRAIN, one, zero, zero, AXES)
    assert equal(inputs.input_transform(TRAIN, *fitted(TRAIN)), batch_norm)


@verifies("input.merge_in_any_order")
def test_moments_merge_in_any_order_and_grouping() -> None:
    """Three sets of 1, 4 and 2 rows."""
    sets = np.split(some((7, 3), 1), [1, 5])
    a, b, c = (inputs.moments(s, AXES) for s in sets)
    whole = inputs.moments(np.concatenate(sets), AXES)
    for merged in (
        inputs.merge(inputs.merge(a, b), c),
        inputs.merge(a, inputs.merge(b, c)),
        inputs.merge(inputs.merge(c, a), b),
    ):
        assert merged.count == whole.count
        assert equal(merged.mean, whole.mean)
        assert equal(merged.squares, whole.squares)


@verifies("input.units_do_not_matter")
@pytest.mark.parametrize("a", [3, -2])
def test_a_feature_in_another_unit_is_transformed_to_the_same_values_up_to_sign(a: int) -> None:
    """And from another origin."""
    other = a * TRAIN + exact([[10**6, -1, 0]])
    here, there = (inputs.input_transform(x, *fitted(x)) for x in (TRAIN, other))
    assert equal(there, np.sign(a) * here)


@verifies("input.unseen_data")
def test_data_outside_the_training_range_are_mapped_by_the_same_affine_map() -> None:
    """Differences are divided by the scale, however far out; and the inverse leads back."""
    mean, scale = fitted(TRAIN)
    far, further = TRAIN + 10**9, TRAIN - 10**12
    moved = inputs.input_transform(far, mean, scale) - inputs.input_transform(further, mean, scale)
    assert equal(moved, (far - further) / scale)
    assert equal(inputs.input_inverse(inputs.input_transform(far, mean, scale), mean, scale), far)


@verifies("input.constant_feature_keeps_its_unit")
def test_a_constant_feature_is_centred_and_left_in_its_unit() -> None:
    """Unseen values of it, too: x - mean, bitwise."""
    scaler = NumpyScaler(LayerConfig(2, 1, 2, 0.25, 0.5, "float32", "float32"))
    scaler.fit([np.array([[5.0, 1.0], [5.0, 3.0]], "float32")])
    unseen = np.array([[5.0, 1.0], [7.5, 1.0], [-1.0, 1.0]], "float32")
    assert np.array_equal(scaler.transform(unseen)[:, 0], unseen[:, 0] - np.float32(5.0))


@verifies("input.nothing_to_fit")
def test_a_fit_without_a_row_is_refused() -> None:
    """No chunk, or only empty ones."""
    for chunks in ([], [np.zeros((0, 3)), np.zeros((0, 3))]):
        with pytest.raises(UsageError, match="nothing to fit"):
            inputs.fit(chunks, AXES)
