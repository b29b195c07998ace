"""What a case says of how its arrays are drawn: read where it is that, and never drawn where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnspec.backends.harness.scripts.literals import drawn
from bnspec.model.draws import Uniform, product, recorded_draws

FACTOR = [3, -1.0, 3.0, [4, 2], 2]


def test_what_is_recorded_is_drawn_again() -> None:
    """As it comes from JSON, and as it stands in a case that was just made."""
    factors = recorded_draws({"draws": {"x": [FACTOR, [4, 0.5, 2.0, [2], 1]]}}, "x")
    assert factors == (Uniform(3, -1.0, 3.0, (4, 2), 2), Uniform(4, 0.5, 2.0, (2,)))
    assert recorded_draws({"draws": {"x": list(factors)}}, "x") == factors
    assert drawn(product(factors).astype("float32"), factors) is not None


@pytest.mark.parametrize(
    "draws",
    [
        [],
        {"x": "all"},
        {"x": [FACTOR, None]},
        {"x": [[-1, *FACTOR[1:]]]},
        {"x": [[2**32, *FACTOR[1:]]]},
        {"x": [[1, "0", 1, [4, 2], 1]]},
        {"x": [[1, 0, 1e300, [4, 2], 1]]},
        {"x": [[1, 0, float("nan"), [4, 2], 1]]},
        {"x": [[1, 0, 1, [4, -2], 1]]},
        {"x": [[1, 0, 1, 8, 1]]},
        {"x": [[1, 0, 1, [4, 2], 10**9]]},
        {"y": [FACTOR]},
    ],
)
def test_what_is_no_draw_is_none(draws: Any) -> None:
    assert recorded_draws({"draws": draws}, "x") == ()


@pytest.mark.parametrize("shape", [[60_000, 60_000], [5, 2], [3]])
def test_draws_of_another_shape_are_not_made(shape: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be of any size."""
    factors = recorded_draws({"draws": {"x": [FACTOR, [1, 0, 1, shape, 1]]}}, "x")
    assert len(factors) == 2
    monkeypatch.setattr(Uniform, "values", lambda self: pytest.fail("drawn"))
    assert drawn(np.ones((4, 2), np.float32), factors) is None
