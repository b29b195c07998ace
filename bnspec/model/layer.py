"""A layer's configuration, and the records that its calls return.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Tuple


@dataclasses.dataclass(frozen=True)
class LayerConfig:
    """A layer's configuration, without arrays.

    Attributes:
        rank: number of axes of x.
        channel_axis: the axis of x that is not reduced, 0 <= channel_axis < rank.
        channels: its extent, C.
        epsilon: the term added to the variance inside the root.
        decay: the weight of the old running value, in [0, 1].
        dtype: name of x's dtype.
        parameter_dtype: name of the dtype of gamma, beta and the running statistics.
        affine: whether gamma and beta exist.
    """

    rank: int
    channel_axis: int
    channels: int
    epsilon: float
    decay: float
    dtype: str
    parameter_dtype: str
    affine: bool = True

    @property
    def reduce_axes(self) -> Tuple[int, ...]:
        """Every axis but the channel axis."""
        return tuple(a for a in range(self.rank) if a != self.channel_axis)

    @property
    def channel_shape(self) -> Tuple[int, ...]:
        """The shape that broadcasts a (C,) array against x."""
        return tuple(self.channels if a == self.channel_axis else 1 for a in range(self.rank))


class Gradients(NamedTuple):
    """Results of a forward and backward pass: y and dx shaped like x; dgamma and dbeta of shape (C,), None without affine."""

    y: Any
    dx: Any
    dgamma: Any
    dbeta: Any


class State(NamedTuple):
    """The running statistics, each of shape (C,)."""

    running_mean: Any
    running_var: Any


class SecondOrder(NamedTuple):
    """The gradients of <v, dx> by x and by dy, shaped like x, and by gamma, shape (C,), None without affine."""

    by_x: Any
    by_dy: Any
    by_gamma: Any


class Tangent(NamedTuple):
    """y, and its derivative along a direction in x; both shaped like x."""

    y: Any
    along: Any
