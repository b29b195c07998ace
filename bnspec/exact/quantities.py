"""Exact quantities of a case: intermediate values in quad precision, and the magnitudes that the bounds use.

Computed once per case and shared by every backend; nothing here depends on the backend. Arrays keep x's rank: statistics
have shape (1, C, 1, ...).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from bnspec.arithmetic.quad import Quad, double, quad
from bnspec.equations import batch_norm as eq
from bnspec.exact.certification import mean_roundings
from bnspec.model.layer import LayerConfig

SMALLEST = 2.0**-1074  # double


@dataclass(frozen=True, eq=False)
class Summary:
    """A batch channel by channel: its statistics in quad, and in float64 the magnitudes of its values.

    Attributes:
        mean, var: quad; var is the population variance.
        mean_abs, mean_square: means of |x| and of x^2; largest: the largest |x|; spread: the largest |x - mean|.
        mean_roundings: error of the quad mean, in roundings (see ``certification``).
    """

    mean: Quad
    var: Quad
    mean_abs: np.ndarray
    mean_square: np.ndarray
    largest: np.ndarray
    spread: np.ndarray
    mean_roundings: np.ndarray

    @staticmethod
    def of(x: Quad, given: np.ndarray, config: LayerConfig) -> Summary:
        """The summary of x, also passed in float64; NaN for empty channels."""
        axes, count = config.reduce_axes, given.size // config.channels
        if count == 0:
            nothing = np.full(config.channel_shape, math.nan)
            return Summary(quad(nothing), quad(nothing), nothing, nothing, nothing, nothing, nothing)
        mean, var = eq.batch_statistics(x, axes)
        ends = [f(given, axis=axes, keepdims=True) for f in (np.min, np.max)]
        largest = np.maximum(*(np.abs(end) for end in ends))
        spread = np.maximum(*(np.abs(double(quad(end) - mean)) for end in ends))
        spread = np.where((spread == 0.0) & (ends[0] < ends[1]), SMALLEST, spread)
        magnitudes = np.abs(given)
        mean_abs, roundings = mean_of_magnitudes(magnitudes, mean, axes)
        mean_square = np.mean(magnitudes * magnitudes, axis=axes, keepdims=True)
        return Summary(mean, var, mean_abs, mean_square, largest, spread, roundings)

    @staticmethod
    def joined(parts: Sequence[Summary], channel_axis: int) -> Summary:
        """The summary of a batch from those of its channel blocks, in order."""
        names = [f.name for f in fields(Summary)]
        return Summary(*(np.concatenate([getattr(p, n) for p in parts], axis=channel_axis) for n in names))


def mean_of_magnitudes(magnitudes: np.ndarray, mean: Quad, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of |values|, and the error of the quad mean of the values, in roundings."""
    count = magnitudes.size // max(mean.size, 1)
    total = np.sum(magnitudes, axis=axes, keepdims=True)
    least = np.min(magnitudes, axis=axes, keepdims=True, where=magnitudes > 0.0, initial=math.inf)
    return total / max(count, 1), mean_roundings(total, least, mean, count)


@dataclass(frozen=True, eq=False)
class Batch:
    """One x, its statistics, and (in float64, for the bounds) the magnitudes of its parts.

    Attributes:
        given: x as it is, in its dtype or in quad.
        known: its summary, if already computed; shared: the same x under another epsilon, whose work is reused.
        x: quad; mean, var: quad; var is the population variance.
        count: elements per channel.
        given64: x in float64; abs_x, abs_mean: |x| and |mean|; var64: the variance in float64.
        mean_abs: mean of |x|; mean_square: mean of x^2; largest: the largest |x|; spread: the largest |x - mean|.
    """

    config: LayerConfig
    given: np.ndarray
    known: Summary | None = None
    shared: Batch | None = None

    @functools.cached_property
    def x(self) -> Quad:
        """x, quad."""
        return self.shared.x if self.shared else quad(self.given)

    @functools.cached_property
    def given64(self) -> np.ndarray:
        """x in float64."""
        return self.shared.given64 if self.shared else double(self.given)

    @functools.cached_property
    def abs_x(self) -> np.ndarray:
        """|x|."""
        return self.shared.abs_x if self.shared else np.abs(self.given64)

    @functools.cached_property
    def summary(self) -> Summary:
        """The summary of each channel."""
        return self.known or (self.shared.summary if self.shared else Summary.of(self.x, self.given64, self.config))

    @property
    def count(self) -> int:
        """Elements per channel."""
        return int(self.given.size // self.config.channels)

    @property
    def mean(self) -> Quad:
        """The batch mean, quad."""
        return self.summary.mean

    @property
    def var(self) -> Quad:
        """The population variance, quad."""
        return self.summary.var

    @functools.cached_property
    def abs_mean(self) -> np.ndarray:
        """|mean|."""
        return np.abs(double(self.mean))

    @functools.cached_property
    def var64(self) -> np.ndarray:
        """The population variance in float64."""
        return double(self.var)

    @property
    def mean_abs(self) -> np.ndarray:
        """Mean of |x|."""
        return self.summary.mean_abs

    @property
    def mean_square(self) -> np.ndarray:
        """Mean of x^2."""
        return self.summary.mean_square

    @property
    def largest(self) -> np.ndarray:
        """The largest |x| of the channel."""
        return self.summary.largest

    @property
    def spread(self) -> np.ndarray:
        """The largest |x - mean| of the channel."""
        return self.summary.spread

    def normalisation(self, correction: int = 0) -> Normalisation:
        """Normalisation by this batch's own statistics: the training mode. Not cached, to avoid a reference cycle.

        ``correction``: of the variance that normalises; count must exceed it.
        """
        var = self.var * self.count / (self.count - correction) if correction else self.var
        return Normalisation(self, self.mean, var, correction)


@dataclass(frozen=True, eq=False)
class Normalisation:
    """x normalised by given statistics: the batch's own in training, the running ones in inference.

    Attributes:
        mean, var: quad, broadcastable against x.
        correction: the divisor of var, and of the mean of dy zhat in dx, is count - correction; 0 for given statistics.
        zhat, inv_std: quad.
        abs_z, abs_mean, var64, inv_std64: |zhat|, |mean|, var and inv_std in float64; largest_z: the channel's largest |zhat|;
            reach: |x| + |mean|, the magnitudes that a folded form subtracts.
    """

    batch: Batch
    mean: Quad
    var: Quad
    correction: int = 0

    @property
    def factor(self) -> float:
        """count / (count - correction)."""
        return self.batch.count / (self.batch.count - self.correction) if self.correction else 1.0

    @functools.cached_property
    def inv_std(self) -> Quad:
        """1 / sqrt(var + epsilon), quad."""
        return eq.inv_std(self.var, self.batch.config.epsilon)

    @functools.cached_property
    def zhat(self) -> Quad:
        """The normalised x, quad."""
        return eq.normalise(self.batch.x, self.mean, self.var, self.batch.config.epsilon)

    @functools.cached_property
    def abs_z(self) -> np.ndarray:
        """|zhat|."""
        return np.abs(double(self.zhat))

    @functools.cached_property
    def abs_mean(self) -> np.ndarray:
        """|mean|."""
        return np.abs(double(self.mean))

    @functools.cached_property
    def var64(self) -> np.ndarray:
        """The variance in float64."""
        return double(self.var)

    @functools.cached_property
    def inv_std64(self) -> np.ndarray:
        """inv_std in float64."""
        return double(self.inv_std)

    @functools.cached_property
    def largest_z(self) -> np.ndarray:
        """The channel's largest |zhat|."""
        return np.max(self.abs_z, axis=self.batch.config.reduce_axes, keepdims=True, initial=0.0)

    @functools.cached_property
    def reach(self) -> np.ndarray:
        """|x| + |mean|."""
        return self.batch.abs_x + self.abs_mean


@dataclass(frozen=True, eq=False)
class Cotangent:
    """A cotangent dy against a normalisation: the two means that dx subtracts, and their magnitudes.

    Attributes:
        given: dy as it is, in its dtype or in quad; shaped like x.
        dy: quad; abs_dy: |dy|.
        mean_dy, mean_dy_zhat: quad, (1, C, 1, ...).
        corrected_dy_zhat: sum(dy zhat) / (count - correction), which dx subtracts; abs_dy_zhat: its magnitude.
        mean_abs: mean of |dy|; mean_reach: mean of |dy| (|x| + |mean|).
        mean_roundings: error of mean_dy, in roundings.
    """

    normalisation: Normalisation
    given: np.ndarray

    @property
    def axes(self) -> tuple[int, ...]:
        """The reduced axes."""
        return self.normalisation.batch.config.reduce_axes

    @functools.cached_property
    def dy(self) -> Quad:
        """dy, quad."""
        return quad(self.given)

    @functools.cached_property
    def mean_dy(self) -> Quad:
        """Mean of dy, quad."""
        return np.mean(self.dy, axis=self.axes, keepdims=True)

    @functools.cached_property
    def mean_dy_zhat(self) -> Quad:
        """Mean of dy zhat, quad."""
        return np.mean(self.dy * self.normalisation.zhat, axis=self.axes, keepdims=True)

    @functools.cached_property
    def corrected_dy_zhat(self) -> Quad:
        """sum(dy zhat) / (count - correction), quad."""
        norm = self.normalisation
        count = norm.batch.count
        return self.mean_dy_zhat * count / (count - norm.correction) if norm.correction else self.mean_dy_zhat

    @functools.cached_property
    def abs_dy_zhat(self) -> np.ndarray:
        """|sum(dy zhat)| / (count - correction)."""
        return np.abs(double(self.corrected_dy_zhat))

    @functools.cached_property
    def abs_dy(self) -> np.ndarray:
        """|dy|."""
        return np.abs(double(self.given))

    @functools.cached_property
    def magnitudes(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean of |dy|, and the error of mean_dy in roundings."""
        return mean_of_magnitudes(self.abs_dy, self.mean_dy, self.axes)

    @property
    def mean_abs(self) -> np.ndarray:
        """Mean of |dy|."""
        return self.magnitudes[0]

    @property
    def mean_roundings(self) -> np.ndarray:
        """Error of mean_dy, in roundings."""
        return self.magnitudes[1]

    @functools.cached_property
    def mean_reach(self) -> np.ndarray:
        """Mean of |dy| (|x| + |mean|)."""
        return np.mean(self.abs_dy * self.normalisation.reach, axis=self.axes, keepdims=True)

    def mean_of(self, weight: np.ndarray) -> np.ndarray:
        """Mean of |dy| * weight over the reduced axes, float64."""
        return np.mean(self.abs_dy * weight, axis=self.axes, keepdims=True)


def broadcast(channels: np.ndarray, config: LayerConfig) -> Quad:
    """A (C,) array in quad precision, shaped to broadcast against x."""
    return quad(np.ascontiguousarray(channels)).reshape(config.channel_shape)
