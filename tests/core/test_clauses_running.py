"""Clauses on running averages and on state, held against the equations and against the layer that is made of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from claims import verifies
from series import Series, equal, exact, some

from bnspec.backends.numpy.specification import NumpyLayer
from bnspec.contract import LayerConfig
from bnspec.equations import averages
from bnspec.equations import batch_norm as eq
from bnspec.errors import UsageError

DECAY = Series(Fraction(9, 10))
INITIAL, STATISTICS = some((1, 3), 1), [some((1, 3), seed) for seed in range(2, 7)]
CONFIG = LayerConfig(2, 1, 3, 0.25, 0.875, "float32", "float32")


def updated(initial: np.ndarray, statistics: list[np.ndarray], decay: Series) -> np.ndarray:
    """The running mean after these steps, one update after another."""
    for statistic in statistics:
        initial = eq.running_mean_update(initial, statistic, decay)
    return initial


@verifies("running.unrolled")
def test_updates_in_turn_are_the_geometric_average() -> None:
    """Of the initial value and of all batch statistics; the weights add up to 1."""
    assert equal(averages.unrolled_average(INITIAL, STATISTICS, DECAY), updated(INITIAL, STATISTICS, DECAY))
    ones = exact(np.ones((1, 3), int))
    assert equal(averages.unrolled_average(ones, [ones] * 5, DECAY), ones)


@verifies("running.initial_state")
def test_inference_of_an_untrained_layer_is_nearly_the_identity() -> None:
    """With running mean 0 and running variance 1: y = gamma x / sqrt(1 + epsilon) + beta."""
    x, gamma, beta = some((4, 3), 8), some((1, 3), 9), some((1, 3), 10)
    zeros, ones, epsilon = exact([[0, 0, 0]]), exact([[1, 1, 1]]), exact([[3, 8, 3]])
    y = eq.inference_forward(x, gamma, beta, zeros, ones, epsilon)
    assert equal(y, gamma * x / exact([[2, 3, 2]]) + beta)


@verifies("running.cumulative_average")
def test_the_cumulative_average_is_the_mean_of_all_statistics() -> None:
    """Whatever the initial value; each step is the moving average with the decay t / (t + 1)."""
    average = INITIAL
    for steps, statistic in enumerate(STATISTICS):
        moved = updated(average, [statistic], Series(Fraction(steps, steps + 1)))
        average = averages.cumulative_update(average, statistic, steps)
        assert equal(average, moved)
    assert equal(average, sum(STATISTICS) / 5)


@verifies("running.debiased_average")
def test_a_debiased_average_weighs_only_the_batches_so_far() -> None:
    """The first is the first statistic; equal statistics give themselves; before the first step there is none."""
    zeros = 0 * INITIAL
    first = updated(zeros, STATISTICS[:1], DECAY)
    assert equal(averages.debiased_average(first, DECAY, 1), STATISTICS[0])
    same = updated(zeros, STATISTICS[:1] * 4, DECAY)
    assert equal(averages.debiased_average(same, DECAY, 4), STATISTICS[0])
    with pytest.raises(UsageError, match="does not exist"):
        averages.debiased_average(zeros, DECAY, 0)


@verifies("running.debias_from_zero_only")
def test_debiasing_an_average_that_did_not_start_at_zero_inflates_it() -> None:
    """By start decay^t / (1 - decay^t)."""
    right = averages.debiased_average(updated(0 * INITIAL, STATISTICS, DECAY), DECAY, 5)
    wrong = averages.debiased_average(updated(INITIAL, STATISTICS, DECAY), DECAY, 5)
    power = Series(Fraction(9, 10) ** 5)
    assert equal(wrong - right, INITIAL * power / (1 - power))


@verifies("state.shared_layer_steps_in_turn")
def test_updates_from_the_same_old_value_would_make_a_variance_negative() -> None:
    """Twelve uses at decay 9/10, of a layer whose batches have variance 0: in turn 0.9^12, added up -0.2 of the old value."""
    old, nothing, uses = exact([[4]]), exact([[0]]), 12
    in_turn = updated(old, [nothing] * uses, DECAY)
    added_up = old + sum(updated(old, [nothing], DECAY) - old for _ in range(uses))
    assert equal(in_turn, old * Series(Fraction(9, 10) ** uses))
    assert equal(added_up, old * Series(Fraction(-1, 5)))


def layer(running: np.ndarray | None = None) -> NumpyLayer:
    """A layer with distinct parameters, from a snapshot of running mean and variance or from a start of its own."""
    mean, var = np.array([[0.5, -1.0, 2.0], [1.0, 4.0, 0.25]], "float32") if running is None else running
    gamma, beta = np.array([[2.0, -0.5, 0.75], [0.1, 0.2, -0.3]], "float32")
    return NumpyLayer(CONFIG, gamma, beta, mean.copy(), var.copy())


def batch(seed: int) -> np.ndarray:
    """Seven rows."""
    return np.random.default_rng(seed).normal(3.0, 2.0, (7, 3)).astype("float32")


def snapshot(of: NumpyLayer) -> np.ndarray:
    """A copy of the state."""
    return np.array(of.state())


@verifies("state.snapshot_continues")
def test_a_layer_rebuilt_from_a_snapshot_goes_on_bit_for_bit() -> None:
    """Output, gradients and state of the third step."""
    one = layer()
    for seed in (1, 2):
        one.training(batch(seed))
    other = layer(snapshot(one))
    results = [o.training_gradients(batch(3), batch(4)) for o in (one, other)]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
    assert np.array_equal(snapshot(one), snapshot(other))


@verifies("state.snapshot_is_complete")
def test_an_average_that_counts_its_steps_cannot_go_on_without_the_count() -> None:
    """Restored with its count it is the mean of all statistics; with a fresh one it forgets all but the last."""
    before = INITIAL
    for steps, statistic in enumerate(STATISTICS[:4]):
        before = averages.cumulative_update(before, statistic, steps)
    assert equal(averages.cumulative_update(before, STATISTICS[4], 4), sum(STATISTICS) / 5)
    assert equal(averages.cumulative_update(before, STATISTICS[4], 0), STATISTICS[4])


@verifies("state.is_visible_after_each_step")
def test_reading_the_state_shows_each_step_and_has_no_effect() -> None:
    """What is read between steps, and how often, changes no bit of what follows."""
    read, unread = layer(), layer()
    snapshots = [snapshot(read)]
    for seed in (1, 2, 3):
        read.training(batch(seed))
        unread.training(batch(seed))
        snapshots += [snapshot(read), snapshot(read)]
        assert np.array_equal(snapshots[-1], snapshots[-2])
        assert not np.array_equal(snapshots[-1], snapshots[-3])
    assert np.array_equal(snapshot(read), snapshot(unread))


@verifies("state.stored_scale_is_the_one_used")
def test_y_is_the_definition_with_the_parameters_that_the_layer_shows() -> None:
    """Rebuilt from what is stored, the equations give the same bits."""
    one, x = layer(), batch(1)
    mean, var = (s.reshape(1, 3) for s in one.state())
    stored = eq.inference_forward(x, one.gamma, one.beta, mean, var, CONFIG.epsilon)
    assert np.array_equal(one.inference(x), stored)


def test_a_bias_that_shares_memory_with_the_running_mean_is_the_one_that_was_given() -> None:
    """One buffer for beta and running mean, one for gamma and running variance: y as if all were apart."""
    shared_mean, shared_var = np.array([[0.5, -1.0, 2.0], [1.0, 4.0, 0.25]], "float32")
    apart = NumpyLayer(CONFIG, shared_var.copy(), shared_mean.copy(), shared_mean.copy(), shared_var.copy())
    together = NumpyLayer(CONFIG, shared_var, shared_mean, shared_mean, shared_var)
    assert np.array_equal(together.training(batch(1)), apart.training(batch(1)))


@verifies("errors.leave_the_state")
def test_a_refused_call_leaves_the_state_as_it_was() -> None:
    """x with another number of channels raises, and nothing has moved."""
    one = layer()
    before = snapshot(one)
    with pytest.raises(ValueError, match="one value for each channel"):
        one.training(np.ones((4, 5), "float32"))
    assert np.array_equal(snapshot(one), before)
