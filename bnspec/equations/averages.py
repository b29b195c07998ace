"""Running statistics over many steps: the unrolled, the cumulative and the debiased average.

The same arithmetics as ``equations``; a statistic keeps one shape throughout. ``steps`` counts the training steps taken.

Source: Ioffe and Szegedy 2015, Algorithm 2; Kingma and Ba 2015, "Adam", section 3 (debiasing).
"""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.equations.batch_norm import Array
from bnspec.errors import UsageError


def unrolled_average(initial: Array, statistics: Sequence[Array], decay: float) -> Array:
    """decay^t * initial + (1 - decay) * sum_k decay^(t - k) * statistic_k,   k = 1..t: the result of t updates."""
    steps = len(statistics)
    weighted = sum(_power(decay, steps - k) * s for k, s in enumerate(statistics, 1))
    return _power(decay, steps) * initial + (1.0 - decay) * weighted


def cumulative_update(old: Array, statistic: Array, steps: int) -> Array:
    """new = old + (statistic - old) / (steps + 1), ``steps`` taken before: the plain mean of all statistics so far.

    The moving average with the decay steps / (steps + 1); the first step replaces the initial value.
    """
    return old + (statistic - old) / (steps + 1)


def debiased_average(hidden: Array, decay: float, steps: int) -> Array:
    """hidden / (1 - decay^steps), where ``hidden`` is a moving average that started at 0.

    The weights of the statistics then add up to 1.

    Raises UsageError: no step was taken, or decay is 1: the average would be 0/0.
    """
    if steps < 1 or decay == 1:
        raise UsageError(
            f"a debiased average after {steps} steps with decay {decay} does not exist.",
            "it divides by the total weight of the statistics, 1 - decay^steps, which is 0.",
            "take a training step first, or use a declared initial value.",
        )
    return hidden / (1.0 - _power(decay, steps))


def _power(decay: float, exponent: int) -> float:
    """decay^exponent by multiplication, in every arithmetic."""
    power = 1.0
    for _ in range(exponent):
        power = power * decay
    return power
