"""``bnspec.ratios``: what cannot be judged is refused with what to do, and what is left out is what the docstring says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnspec import ratios
from bnspec.errors import UsageError

X = np.random.RandomState(3).standard_normal((6, 3, 4)).astype(np.float32)
GAMMA, BETA = np.array([2.0, -1.0, 0.5], np.float32), np.array([1.0, 0.0, -3.0], np.float32)


def y_of(gamma: Any = 1.0, beta: Any = 0.0) -> np.ndarray:
    """y in training, rounded once."""
    wide = X.astype(np.float64)
    mean, var = wide.mean((0, 2), keepdims=True), wide.var((0, 2), keepdims=True)
    scale, shift = (np.broadcast_to(np.asarray(p, np.float64), 3).reshape(1, 3, 1) for p in (gamma, beta))
    return np.asarray((wide - mean) / np.sqrt(var + 1e-5) * scale + shift).astype(np.float32)


def test_gamma_without_beta_scales_and_beta_without_gamma_shifts() -> None:
    """The other one is 1 or 0: a result that is right is not accused."""
    for given in ({}, {"gamma": GAMMA}, {"beta": BETA}, {"gamma": GAMMA, "beta": BETA}):
        assert ratios({"y": y_of(**given)}, X, epsilon=1e-5, **given)["y"].max() <= 1.0, list(given)


@pytest.mark.parametrize(
    ("results", "arguments", "said"),
    [
        (y_of(), {}, "results is a ndarray"),
        ({}, {}, "results is empty"),
        ({"y": y_of().astype(np.complex64)}, {}, "y has dtype complex64"),
        ({"y": y_of()}, {"x": X.tolist()}, "x has dtype none: it is a list"),
        ({"y": y_of()}, {"x": X[:, 0, 0]}, "x has shape"),
        ({"y": y_of()}, {"gamma": np.ones(3, int)}, "gamma has dtype int64"),
        ({"y": y_of()}, {"channel_axis": 3}, "channel_axis is 3"),
        ({"y": y_of()}, {"epsilon": "1e-5"}, "epsilon is '1e-5'"),
        ({"y": y_of()}, {"mode": "eval"}, "mode is 'eval'"),
        ({"y": y_of()}, {"tier": "best"}, "tier is 'best'"),
        ({"y": y_of()}, {"conventions": {"running_correction": 1}}, "conventions is a dict"),
        ({"y": y_of()}, {"mode": "inference", "running_mean": BETA}, "inference lacks running statistics"),
        ({"Y": y_of()}, {}, "'Y' cannot be judged"),
    ],
)
def test_what_cannot_be_judged_is_refused(results: Any, arguments: dict[str, Any], said: str) -> None:
    """With what, why and what to do; never an error of our own."""
    with pytest.raises(UsageError, match=said) as raised:
        ratios(results, **{"x": X, "epsilon": 1e-5, **arguments})
    assert raised.value.why
    assert raised.value.fix
