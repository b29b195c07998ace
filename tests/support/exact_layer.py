"""A layer with given conventions in exact rationals: the framework's results without rounding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from bnspec.arithmetic.representable import fractions_of
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import effective_epsilon
from bnspec.translation.parts import LayerValues
from bnspec.translation.translate import decay_of

Channel = list[Fraction]


@dataclasses.dataclass
class Model:
    """One layer under given conventions."""

    conventions: Conventions
    layer: LayerValues

    def __post_init__(self) -> None:
        self.mean, self.var = fractions_of(self.layer.running_mean), fractions_of(self.layer.running_var)
        self.epsilon = Fraction(effective_epsilon(self.layer.epsilon, self.conventions))
        self.decay = decay_of(self.conventions, self.layer.momentum)
        self.steps = self.layer.steps or 0
        ones, zeros = [Fraction(1)] * len(self.mean), [Fraction(0)] * len(self.mean)
        self.gamma = ones if self.layer.gamma is None else fractions_of(self.layer.gamma)
        self.beta = zeros if self.layer.beta is None else fractions_of(self.layer.beta)

    def map(self, mean: Channel, var: Channel) -> list[tuple[Fraction, ...]]:
        """The per-channel numbers that determine y for these statistics: equal maps are equal functions of x."""
        return [(g, b, m, v + self.epsilon) for g, b, m, v in zip(self.gamma, self.beta, mean, var, strict=True)]

    def inference(self) -> list[tuple[Fraction, ...]]:
        """The map of inference."""
        return self.map(self.mean, self.var)

    def train(self, x: Sequence[Channel]) -> list[tuple[Fraction, ...]]:
        """The map of this training step, which then moves the statistics."""
        m, c, n = len(x[0]), self.conventions.running_correction, self.conventions.normalising_correction
        mean = [sum(v, Fraction(0)) / m for v in x]
        squares = [sum(((e - a) ** 2 for e in v), Fraction(0)) for v, a in zip(x, mean, strict=True)]
        y = self.map(mean, [s / (m - n) for s in squares])
        self.mean = self.moved(self.mean, mean)
        self.var = self.moved(self.var, [s / (m - c) for s in squares])
        self.steps += 1
        return y

    def moved(self, old: Channel, new: Channel) -> Channel:
        """The moving average after a step, by the first-batch rule."""
        d, t = self.decay, self.steps
        if self.conventions.first_batch == "replace" and t == 0:
            return new
        if self.conventions.first_batch == "debiased":
            return [(d * (1 - d**t) * o + (1 - d) * n) / (1 - d ** (t + 1)) for o, n in zip(old, new, strict=True)]
        return [d * o + (1 - d) * n for o, n in zip(old, new, strict=True)]


def batch(channels: int, count: int, seed: int) -> list[Channel]:
    """A batch of small rationals, no channel constant."""
    rng = np.random.RandomState(seed)
    return [[Fraction(int(v), 8) for v in (*rng.randint(-99, 99, count - 1), 100 + c)] for c in range(channels)]


def train_alike(source: Model, target: Model, counts: Sequence[int], factor: Fraction) -> bool:
    """Whether both compute the same in these steps, the target's variance being the source's times the factor."""
    for seed, count in enumerate(counts):
        x = batch(len(source.mean), count, seed)
        if source.train(x) != target.train(x):
            return False
        if source.mean != target.mean or [v * factor for v in source.var] != target.var:
            return False
    return True
