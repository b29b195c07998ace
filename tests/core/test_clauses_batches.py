"""Clauses on masks and shards: a batch with padding is the batch without it, a batch in shards is the whole one. Exactly."""

from __future__ import annotations

import numpy as np
from claims import verifies
from series import equal, exact, gradient, some, square_epsilon

from bnspec.arithmetic.quad import QUAD, double, quad
from bnspec.equations import batch_norm as eq
from bnspec.equations.input_normalization import moments
from bnspec.equations.layer_norm import layer_norm_dx
from bnspec.equations.masked import masked_count, masked_statistics, masked_training_dx
from bnspec.equations.second_order import training_second_order
from bnspec.equations.sharded import shard_sums, synchronised_dx, synchronised_moments, synchronised_sums

GAMMA, BETA = some((1, 1, 2), 3), some((1, 1, 2), 4)

# --- masks: x of shape (batch, time, channel), sequences of length 3 and 1 ----------------------------------------------------

TIMES = (0, 1)
X, DY = some((2, 3, 2), 1), some((2, 3, 2), 2)
MASK = exact([[[1], [1], [1]], [[1], [0], [0]]])
KEPT = np.array([[True, True, True], [True, False, False]])
SHORT, SHORT_DY = X[KEPT][:, None, :], DY[KEPT][:, None, :]
MASKED = masked_statistics(X, MASK, TIMES)
EPSILON = square_epsilon(MASKED[1])


def masked_forward(x: np.ndarray) -> np.ndarray:
    """y of a masked batch; what it is on the padding, nobody asks."""
    return eq.affine(eq.normalise(x, *masked_statistics(x, MASK, TIMES), EPSILON), GAMMA, BETA)


def padded_otherwise(x: np.ndarray) -> np.ndarray:
    """The same batch with other padding."""
    other = x.copy()
    other[~KEPT] = some((2, 2), 9) * 1000
    return other


@verifies("mask.equals_compaction")
def test_a_masked_batch_is_the_batch_without_its_padding() -> None:
    """Statistics and y; and a mask that keeps all is no mask."""
    assert all(equal(a, b) for a, b in zip(MASKED, eq.batch_statistics(SHORT, TIMES), strict=True))
    assert equal(masked_forward(X)[KEPT], eq.training_forward(SHORT, GAMMA, BETA, EPSILON, TIMES)[:, 0])
    everything = masked_statistics(X, exact([[[1]]]), TIMES)
    assert all(equal(a, b) for a, b in zip(everything, eq.batch_statistics(X, TIMES), strict=True))


@verifies("mask.padding_is_inert")
def test_other_padding_changes_nothing_that_is_kept() -> None:
    """y and dx, whatever stands in the padding of x and dy."""
    assert equal(masked_forward(padded_otherwise(X))[KEPT], masked_forward(X)[KEPT])
    other = masked_training_dx(padded_otherwise(X), padded_otherwise(DY), GAMMA, MASK, EPSILON, TIMES)
    assert equal(other, masked_training_dx(X, DY, GAMMA, MASK, EPSILON, TIMES))


@verifies("mask.counts_elements")
def test_the_count_is_that_of_kept_elements_after_broadcasting() -> None:
    """A mask over (batch, time) of x with a further axis of 5; the corrected running variance uses it too."""
    wide, mask = some((2, 3, 5, 2), 5), MASK[:, :, None]
    axes = (0, 1, 2)
    count = masked_count(wide, mask, axes)
    assert equal(count, exact(np.full((1, 1, 1, 2), 4 * 5)))
    short = wide[KEPT]
    mean, var = masked_statistics(wide, mask, axes)
    assert all(equal(a[0], b) for a, b in zip((mean, var), eq.batch_statistics(short, (0, 1)), strict=True))
    old, decay = some((1, 1, 1, 2), 6), exact(0.75)[()]
    masked = eq.running_var_update(old, var, count, decay, 1)
    assert equal(masked, eq.running_var_update(old, var, 4 * 5, decay, 1))


@verifies("mask.gradients")
def test_dx_is_zero_on_the_padding_and_elsewhere_that_of_the_batch_without_it() -> None:
    """Against compaction, and against the exact derivative of a loss of what is kept."""
    dx = masked_training_dx(X, DY, GAMMA, MASK, EPSILON, TIMES)
    assert equal(dx[~KEPT], exact(np.zeros((2, 2), int)))
    assert equal(dx[KEPT], eq.training_dx(SHORT, SHORT_DY, GAMMA, EPSILON, TIMES)[:, 0])
    assert equal(dx, gradient(lambda x: np.sum((DY * masked_forward(x))[KEPT]), X))


# --- shards: seven rows on four devices, one of which has none ----------------------------------------------------------------

ROWS = (0,)
WHOLE, WHOLE_DY = some((7, 2), 11), some((7, 2), 12)
CUTS = [1, 4, 4]
SHARDS, DY_SHARDS = np.split(WHOLE, CUTS), np.split(WHOLE_DY, CUTS)
STATISTICS = eq.batch_statistics(WHOLE, ROWS)
EPS = square_epsilon(STATISTICS[1])
SCALE, SHIFT = GAMMA[0], BETA[0]


def test_the_shards_differ_in_size_and_one_is_empty() -> None:
    """Equal shards with equal means would show nothing."""
    assert [len(s) for s in SHARDS] == [1, 3, 0, 3]


@verifies("sharded.equals_whole_batch")
def test_merged_moments_are_those_of_the_whole_batch_and_means_of_means_are_not() -> None:
    """Statistics and y."""
    merged = synchronised_moments(SHARDS, ROWS)
    assert equal(merged.mean, STATISTICS[0])
    assert equal(merged.var, STATISTICS[1])
    y = [eq.affine(eq.normalise(s, merged.mean, merged.var, EPS), SCALE, SHIFT) for s in SHARDS]
    assert equal(np.concatenate(y), eq.training_forward(WHOLE, SCALE, SHIFT, EPS, ROWS))
    filled = [moments(s, ROWS) for s in SHARDS if len(s)]
    assert not equal(sum(m.mean for m in filled) / 3, STATISTICS[0])
    assert not equal(sum(m.count * m.var for m in filled) / 7, STATISTICS[1])


@verifies("sharded.gradients")
def test_dx_of_the_shards_is_dx_of_the_whole_batch() -> None:
    """With sums and counts over all of them."""
    whole = synchronised_moments(SHARDS, ROWS)
    sums = synchronised_sums([shard_sums(x, dy, whole, EPS, ROWS) for x, dy in zip(SHARDS, DY_SHARDS, strict=True)])
    parts = [synchronised_dx(x, dy, SCALE, whole, sums, EPS) for x, dy in zip(SHARDS, DY_SHARDS, strict=True)]
    assert equal(np.concatenate(parts), eq.training_dx(WHOLE, WHOLE_DY, SCALE, EPS, ROWS))


@verifies("sharded.parameter_gradients_add_up")
def test_the_parameter_gradients_of_the_shards_add_up_to_those_of_the_whole_batch() -> None:
    """Both of them."""
    whole = synchronised_moments(SHARDS, ROWS)
    sums = synchronised_sums([shard_sums(x, dy, whole, EPS, ROWS) for x, dy in zip(SHARDS, DY_SHARDS, strict=True)])
    expected = eq.parameter_gradients(eq.normalise(WHOLE, *STATISTICS, EPS), WHOLE_DY, ROWS)
    assert all(equal(a, b) for a, b in zip(sums, expected, strict=True))


@verifies("sharded.count_is_global")
def test_shards_of_one_value_each_are_a_batch_like_any_other() -> None:
    """Moments and the corrected running variance."""
    merged = synchronised_moments(np.split(WHOLE, 7), ROWS)
    assert merged.count == 7
    assert equal(merged.var, STATISTICS[1])
    decay = exact(0.75)[()]
    corrected = eq.running_var_update(SCALE, merged.var, merged.count, decay, 1)
    assert equal(corrected, decay * SCALE + (1 - decay) * STATISTICS[1] * 7 / 6)


@verifies("sharded.empty_shard")
def test_a_shard_without_elements_changes_nothing() -> None:
    """First, last or in between."""
    merged = synchronised_moments(SHARDS, ROWS)
    for order in ([2, 0, 1, 3], [0, 1, 3, 2], [0, 1, 3]):
        other = synchronised_moments([SHARDS[j] for j in order], ROWS)
        assert other.count == merged.count
        assert equal(other.mean, merged.mean)
        assert equal(other.squares, merged.squares)


def test_the_same_equations_run_in_quad_precision() -> None:
    """One text for every arithmetic: what goes in as quad comes out as quad, in the same shape, and finite."""
    random = np.random.default_rng(1)
    x, dy = (quad(random.normal(size=(2, 3, 2))) for _ in range(2))
    gamma, mask, epsilon = quad(np.ones((1, 1, 2))), quad(KEPT[:, :, None]), 0.25
    whole = synchronised_moments([x, x[:0]], TIMES)
    sums = synchronised_sums([shard_sums(x[cut], dy[cut], whole, epsilon, TIMES) for cut in (slice(2), slice(0))])
    for result in (
        masked_training_dx(x, dy, gamma, mask, epsilon, TIMES),
        synchronised_dx(x, dy, gamma, whole, sums, epsilon),
        layer_norm_dx(x, dy, gamma, epsilon, (2,)),
        training_second_order(x, dy, x, gamma, epsilon, TIMES).by_x,
    ):
        assert result.dtype == QUAD
        assert result.shape == x.shape
        assert np.isfinite(double(result)).all()
