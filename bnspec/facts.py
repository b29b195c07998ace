"""Exact facts about a case: what the equations give in quad precision, and the magnitudes that the bounds are made of.

Computed once per case and shared by every backend; nothing here depends on who is judged. Arrays keep x's rank: statistics
have shape (1, C, 1, ...).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from bnspec import equations as eq
from bnspec.arithmetic import Quad, double, quad
from bnspec.contract import LayerConfig


@dataclass(frozen=True, eq=False)
class Batch:
    """One x, its statistics, and (for the bounds, in float64) how large its parts are.

    Attributes:
        x, mean, var: quad; var is the population variance.
        count: elements per channel.
        abs_x, abs_mean: |x| and |mean|.
        mean_abs: mean of |x|; mean_square: mean of x^2; spread: the largest |x - mean| of the channel.
    """

    config: LayerConfig
    x: Quad

    @functools.cached_property
    def count(self) -> int:
        """Elements per channel."""
        return int(self.x.size // self.config.channels)

    @functools.cached_property
    def statistics(self) -> tuple[Quad, Quad]:
        """Mean and population variance, quad."""
        return eq.batch_statistics(self.x, self.config.reduce_axes)

    @property
    def mean(self) -> Quad:
        """The batch mean, quad."""
        return self.statistics[0]

    @property
    def var(self) -> Quad:
        """The population variance, quad."""
        return self.statistics[1]

    @functools.cached_property
    def abs_x(self) -> np.ndarray:
        """|x|."""
        return np.abs(double(self.x))

    @functools.cached_property
    def abs_mean(self) -> np.ndarray:
        """|mean|."""
        return np.abs(double(self.mean))

    @functools.cached_property
    def var64(self) -> np.ndarray:
        """The population variance in float64."""
        return double(self.var)

    @functools.cached_property
    def mean_abs(self) -> np.ndarray:
        """Mean of |x|."""
        return np.mean(self.abs_x, axis=self.config.reduce_axes, keepdims=True)

    @functools.cached_property
    def mean_square(self) -> np.ndarray:
        """Mean of x^2."""
        return np.mean(self.abs_x * self.abs_x, axis=self.config.reduce_axes, keepdims=True)

    @functools.cached_property
    def spread(self) -> np.ndarray:
        """The largest |x - mean| of the channel."""
        return np.max(np.abs(double(self.x - self.mean)), axis=self.config.reduce_axes, keepdims=True)

    @functools.cached_property
    def normalisation(self) -> Normalisation:
        """Normalisation by this batch's own statistics: the training mode."""
        return Normalisation(self, self.mean, self.var)


@dataclass(frozen=True, eq=False)
class Normalisation:
    """x normalised by given statistics: the batch's own in training, the running ones in inference.

    Attributes:
        mean, var: quad, broadcastable against x.
        zhat, inv_std: quad.
        abs_z, inv_std64: |zhat| and inv_std in float64; reach: |x| + |mean|, what a folded form subtracts.
    """

    batch: Batch
    mean: Quad
    var: Quad

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
    def inv_std64(self) -> np.ndarray:
        """inv_std in float64."""
        return double(self.inv_std)

    @functools.cached_property
    def reach(self) -> np.ndarray:
        """|x| + |mean|."""
        return self.batch.abs_x + np.abs(double(self.mean))


@dataclass(frozen=True, eq=False)
class Cotangent:
    """A cotangent dy against a normalisation: the two means that dx subtracts, and their magnitudes.

    Attributes:
        dy: quad, shaped like x.
        mean_dy, mean_dy_zhat: quad, (1, C, 1, ...).
        mean_abs: mean of |dy|; mean_reach: mean of |dy| (|x| + |mean|).
    """

    normalisation: Normalisation
    dy: Quad

    @functools.cached_property
    def axes(self) -> tuple[int, ...]:
        """The reduced axes."""
        return self.normalisation.batch.config.reduce_axes

    @functools.cached_property
    def mean_dy(self) -> Quad:
        """Mean of dy, quad."""
        return np.mean(self.dy, axis=self.axes, keepdims=True)

    @functools.cached_property
    def mean_dy_zhat(self) -> Quad:
        """Mean of dy zhat, quad."""
        return np.mean(self.dy * self.normalisation.zhat, axis=self.axes, keepdims=True)

    @functools.cached_property
    def abs_dy(self) -> np.ndarray:
        """|dy|."""
        return np.abs(double(self.dy))

    @functools.cached_property
    def mean_abs(self) -> np.ndarray:
        """Mean of |dy|."""
        return np.mean(self.abs_dy, axis=self.axes, keepdims=True)

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
