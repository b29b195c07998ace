"""The equations of batch normalization over a batch sharded across devices.

The same arithmetics as ``equations``. Shards exchange counts, moments and two sums per channel.

Source: Peng et al. 2018, "MegDet", 3.2 (synchronised batch normalization); Chan, Golub and LeVeque 1979 for the merge.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from bnspec.equations.batch_norm import Array, Axes, inv_std, normalise, parameter_gradients
from bnspec.equations.input_normalization import Moments, empty_sum, merge, moments


class CotangentSums(NamedTuple):
    """The sums that the backward pass reduces over one shard or all: sum(dy * zhat) and sum(dy), shape (1, C, 1, ...)."""

    dy_zhat: Array
    dy: Array


def synchronised_moments(shards: Sequence[Array], axes: Axes) -> Moments:
    """The moments of the whole batch, merged by count from those of its shards; an empty shard has no effect."""
    return functools.reduce(merge, (moments(s, axes) for s in shards))


def shard_sums(x: Array, dy: Array, whole: Moments, epsilon: float, axes: Axes) -> CotangentSums:
    """A shard's part of dgamma and dbeta, with zhat by the statistics of the whole batch; 0 for an empty shard."""
    if not x.size:
        return CotangentSums(empty_sum(x, axes), empty_sum(x, axes))
    return CotangentSums(*parameter_gradients(normalise(x, whole.mean, whole.var, epsilon), dy, axes))


def synchronised_sums(parts: Sequence[CotangentSums]) -> CotangentSums:
    """The sums over all shards: dgamma and dbeta of the whole batch."""
    return CotangentSums(sum(p.dy_zhat for p in parts), sum(p.dy for p in parts))


def synchronised_dx(x: Array, dy: Array, gamma: Array, whole: Moments, sums: CotangentSums, epsilon: float) -> Array:
    """dx = gamma * inv_std * (dy - sum(dy) / m - zhat * sum(dy * zhat) / m): x, dy of the shard; sums and m of the batch."""
    zhat = normalise(x, whole.mean, whole.var, epsilon)
    return gamma * inv_std(whole.var, epsilon) * (dy - sums.dy / whole.count - zhat * sums.dy_zhat / whole.count)
