"""The layer before a folded one: it computes the case's x exactly, so y of both is the layer's own.

Each of its outputs is another of its inputs with the sign kept or changed, so its weights are 1, -1 and 0, and nothing is rounded.
Its bias is the running mean, and the folded layer's running mean is twice that, which is exact; so a bias that is dropped, or
not scaled, shows.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from bnspec.contract import Declined

#: Why some x are declined: the product of a weight 0 and an infinity is NaN.
FINITE_ONLY = "a weight 0 makes NaN of a value that is not finite: the layer before would not compute x"
#: Why others are.
NO_VALUES = "a layer before is not asked about no values: some convolutions refuse them"
#: Weights that the layer before may have, most of them 0.
WEIGHTS_AT_MOST = 1 << 20
TOO_WIDE = "the layer before would have more than %d weights" % WEIGHTS_AT_MOST


def pairs(channels: int) -> int:
    """In how many groups channels are convolved: pairs, where their number is even."""
    return channels // 2 if channels % 2 == 0 else 1


def mixing(outputs: int, groups: int) -> Tuple[np.ndarray, np.ndarray]:
    """Of each output its input, the next one in its group, and the sign of its weight."""
    size, numbers = outputs // groups, np.arange(outputs)
    return numbers - numbers % size + (numbers + 1) % size, np.where(numbers % 2, -1.0, 1.0)


def input_of(x: np.ndarray, groups: int) -> np.ndarray:
    """The input, channels second, of which the layer before makes x. Raises Declined: x that it does not compute."""
    channels = x.shape[1]
    if not x.size:
        raise Declined(NO_VALUES)
    if not np.isfinite(x).all():
        raise Declined(FINITE_ONLY)
    if channels * channels // groups > WEIGHTS_AT_MOST:
        raise Declined(TOO_WIDE)
    sources, signs = mixing(channels, groups)
    given = np.empty(x.shape, x.dtype)
    given[:, sources] = x * signs.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 2))
    return given
