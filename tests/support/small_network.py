"""The network of trajectories in float32, with a chosen order for every sum, and versions with defects.

Every sum goes through ``total``; a subclass changes one method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bnspec.model.case import Case
from bnspec.model.observation import Observation, StepResult

Array = Any
#: A sum over the first axis, which goes away.
Total = Callable[[Array], Array]
ONE = np.float32(1.0)


def forwards(terms: Array) -> Array:
    """One after the other, from the first."""
    return np.add.accumulate(terms, axis=0)[-1]


def backwards(terms: Array) -> Array:
    """One after the other, from the last."""
    return forwards(terms[::-1])


def shuffled(terms: Array) -> Array:
    """One after the other, in some order."""
    return forwards(terms[np.random.RandomState(len(terms)).permutation(len(terms))])


def halves(terms: Array) -> Array:
    """Neighbours first, then the sums of neighbours."""
    while len(terms) > 1:
        odd = terms[len(terms) - len(terms) % 2 :]
        terms = np.concatenate([terms[0 : len(terms) - len(odd) : 2] + terms[1 : len(terms) : 2], odd])
    return terms[0]


ORDERS: dict[str, Total] = {f.__name__: f for f in (forwards, backwards, shuffled, halves)}


class SmallNetwork:
    """A correct network; ``correction`` is that of the running variance."""

    def __init__(self, case: Case, correction: int, total: Total = forwards) -> None:
        self.case, self.correction, self.total = case, correction, total
        self.rate = np.float32(case.steps[0].option("learning_rate"))
        self.epsilon, self.decay = np.float32(case.config.epsilon), np.float32(case.config.decay)
        names = ("w1", "b1", "gamma", "beta", "running_mean", "running_var", "w2", "b2")
        self.v: dict[str, Array] = {n: case.arrays[n].copy() for n in names}
        self.v["w1"] = self.v["w1"].reshape(-1, case.config.channels)

    def product(self, a: Array, b: Array) -> Array:
        """a @ b."""
        return self.total(a.T[:, :, None] * b[:, None, :])

    def rows(self, x: Array) -> Array:
        """x, or its patches of 3 by 3, one by one."""
        if x.ndim == 2:
            return x
        places = [(n, i, j) for n in range(len(x)) for i in range(x.shape[1] - 2) for j in range(x.shape[2] - 2)]
        return np.stack([x[n, i : i + 3, j : j + 3].reshape(-1) for n, i, j in places])

    def statistics(self, h: Array) -> tuple[Array, Array]:
        """Mean and variance of the rows."""
        mean = self.total(h) / np.float32(len(h))
        return mean, self.total(np.square(h - mean)) / np.float32(len(h))

    def used(self, mean: Array, var: Array) -> tuple[Array, Array]:
        """The statistics that normalise."""
        return mean, var

    def inv_std(self, var: Array) -> Array:
        """1 / sqrt(var + epsilon)."""
        return ONE / np.sqrt(var + self.epsilon)

    def dh(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        """The gradient that the layer hands on."""
        m = np.float32(len(dy))
        mean, along = self.total(dy) / m, self.total(dy * zhat) / m
        return self.v["gamma"] * inv_std * (dy - mean - zhat * along)

    def dgamma(self, dy: Array, zhat: Array) -> Array:
        """The gradient of gamma."""
        return self.total(dy * zhat)

    def corrected(self, var: Array, count: int) -> Array:
        """The variance that the running one moves to."""
        return var * np.float32(count / (count - self.correction))

    def learn(self, x: Array, labels: Array) -> Array:
        """One step; the loss before it."""
        v, rows, samples = self.v, self.rows(x), np.float32(len(x))
        h = self.product(rows, v["w1"]) + v["b1"]
        batch = self.statistics(h)
        mean, var = self.used(*batch)
        inv_std = self.inv_std(var)
        zhat = (h - mean) * inv_std
        y = v["gamma"] * zhat + v["beta"]
        places = len(rows) // len(x)
        spread = np.maximum(y, 0).reshape(len(x), places, -1)
        pooled = self.total(np.moveaxis(spread, 1, 0)) / np.float32(places)
        z = self.product(pooled, v["w2"]) + v["b2"]
        shifted = z - z.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        sums = self.total(e.T)[:, None]
        loss = self.total(np.log(sums[:, 0]) - shifted[np.arange(len(x)), labels]) / samples
        dz = (e / sums - np.eye(z.shape[1], dtype=np.float32)[labels]) / samples
        dy = np.repeat(self.product(dz, v["w2"].T) / np.float32(places), places, axis=0) * (y > 0)
        dh = self.dh(dy, zhat, inv_std)
        gradients = {
            "w1": self.product(rows.T, dh),
            "b1": self.total(dh),
            "gamma": self.dgamma(dy, zhat),
            "beta": self.total(dy),
            "w2": self.product(pooled.T, dz),
            "b2": self.total(dz),
        }
        for name, now in (("running_mean", batch[0]), ("running_var", self.corrected(batch[1], len(rows)))):
            v[name] = self.decay * v[name] + (ONE - self.decay) * now
        for name, gradient in gradients.items():
            v[name] = v[name] - self.rate * gradient
        return loss

    def observed(self) -> Observation:
        """All steps of the case, as a worker reports them."""
        results = []
        for step in self.case.steps:
            loss = np.asarray(self.learn(*(self.case.arrays[n] for n in step.inputs)))
            values: Mapping[str, Array] = dict(self.v, w1=self.v["w1"].reshape(self.case.arrays["w1"].shape), loss=loss)
            results.append(StepResult("ok", "", {n: np.array(a) for n, a in values.items()}))
        return Observation("ok", "", tuple(results))


class OnePass(SmallNetwork):
    """E[x^2] - E[x]^2: another right variance."""

    def statistics(self, h: Array) -> tuple[Array, Array]:
        """The difference, which is never negative."""
        m = np.float32(len(h))
        mean = self.total(h) / m
        return mean, np.maximum(self.total(h * h) / m - mean * mean, np.float32(0.0))


class DxWithoutVariancePath(SmallNetwork):
    """The variance is a constant to the gradient."""

    def dh(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        """Without the part along zhat."""
        return self.v["gamma"] * inv_std * (dy - self.total(dy) / np.float32(len(dy)))


class EpsilonOutsideRoot(SmallNetwork):
    """1 / (sqrt(var) + epsilon)."""

    def inv_std(self, var: Array) -> Array:
        """epsilon added to the root."""
        return ONE / (np.sqrt(var) + self.epsilon)


class OtherCorrection(SmallNetwork):
    """The running variance is biased where unbiased is declared, and the other way round."""

    def corrected(self, var: Array, count: int) -> Array:
        """With the divisor that was not declared."""
        return var * np.float32(count / (count - 1 + self.correction))


class InferenceInTraining(SmallNetwork):
    """The running statistics normalise, as constants."""

    def used(self, mean: Array, var: Array) -> tuple[Array, Array]:
        """Those of before the step."""
        return self.v["running_mean"], self.v["running_var"]

    def dh(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        """The gradient of an affine function."""
        return self.v["gamma"] * inv_std * dy


class NoGradientOfGamma(SmallNetwork):
    """gamma stays."""

    def dgamma(self, dy: Array, zhat: Array) -> Array:
        """None."""
        return np.zeros_like(self.v["gamma"])


DEFECTS = (DxWithoutVariancePath, EpsilonOutsideRoot, OtherCorrection, InferenceInTraining, NoGradientOfGamma)
