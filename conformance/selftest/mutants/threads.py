"""Mutants of sums split over threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer

Array = Any

THREADS = ("layout.threads",)


class ThirdThreadLost(FullLayer):
    """Joins the partial sums of two threads."""

    family, killed_by, path = "layout", THREADS, "3 threads"

    def joined(self, parts: Any) -> Array:
        return super().joined(parts[:2])


class PartialMeansAveraged(FullLayer):
    """Averages the means of the threads' parts, which differ in length."""

    family, killed_by, path = "layout", THREADS, "parts of different lengths"

    def average(self, x: Array) -> Array:
        if self.threads == 1 or self.count(x) < self.threads:
            return super().average(x)
        parts = np.array_split(self.lanes(x), self.threads, axis=1)
        return self.broad(sum(p.mean(axis=1) for p in parts) / x.dtype.type(self.threads))


class RemainderOfThreeThreadsDropped(FullLayer):
    """Gives each of three threads the same number of values, and the remainder to none."""

    family, killed_by, path = "layout", THREADS, "3 threads, a count that 3 does not divide"

    def average(self, x: Array) -> Array:
        if self.threads != 3 or self.count(x) < 3:
            return super().average(x)
        kept = self.lanes(x)[:, : self.count(x) // 3 * 3]
        return self.broad(kept.sum(axis=1) / x.dtype.type(self.count(x)))


class ThreadsAddInHalf(FullLayer):
    """Joins the threads' partial sums in float16."""

    family, killed_by, path = "layout", THREADS, "2 threads and more"

    def joined(self, parts: Any) -> Array:
        return super().joined([p.astype(np.float16) for p in parts]).astype(self.work)


class TwoThreadsRaceInTheState(FullLayer):
    """Moves the running mean once for each of two threads."""

    family, killed_by, path = "layout", THREADS, "2 threads, running mean"

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        moved = super().new_mean(old, mean, count)
        return super().new_mean(moved, mean, count) if self.threads == 2 else moved


class ThreadsRaceInTheScaleGradient(FullLayer):
    """Takes the last thread's part alone for dgamma."""

    family, killed_by, path = "layout", THREADS, "2 threads and more, dgamma"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Any:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        if self.threads > 1:
            dgamma = np.array_split(self.lanes(dy * zhat), self.threads, axis=1)[-1].sum(axis=1)
        return dgamma, dbeta
