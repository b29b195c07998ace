"""A test of your own results without a tolerance of your own: one number for each element.

pytest examples/test_ratios.py
"""

from __future__ import annotations

import numpy as np

from bnspec import ratios


def test_my_batch_norm() -> None:
    """error / bound: 1 is what rounding may do to this element, whatever its size, the dtype and the number of values."""
    x = np.random.default_rng(1).normal(1000.0, 1.0, (64, 8, 7)).astype(np.float32)
    gamma, beta = np.full(8, 0.5, np.float32), np.full(8, 2.0, np.float32)
    y = x - x.mean((0, 2), keepdims=True)
    y = y / np.sqrt(np.square(y).mean((0, 2), keepdims=True) + np.float32(1e-5)) * np.float32(0.5) + np.float32(2.0)
    assert ratios({"y": y}, x, gamma, beta, epsilon=1e-5)["y"].max() <= 1.0
