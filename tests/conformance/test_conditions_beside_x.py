"""What the cases of every seed meet beside x: masks, cotangents, and memory of third derivatives. See ``test_conditions``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnspec.conformance.cases.effort import fixed_cases
from bnspec.model.call import (
    INFERENCE_GRADIENTS,
    TRAINING_GRADIENTS,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
)
from bnspec.model.conventions import HALVES


def test_masks_of_whole_samples_and_in_half_precision_are_met() -> None:
    """A mask without holes, whose first sample is padding alone."""
    cases = [c for c in fixed_cases() if "mask" in c.arrays]
    rows = [c.arrays["mask"].reshape(len(c.arrays["mask"]), -1) for c in cases if c.config.channel_axis != 0]
    assert any(bool((r.all(1) == r.any(1)).all()) and r.shape[1] > 1 and not r[0].any() and r.any() for r in rows)
    assert any(c.config.dtype in HALVES for c in cases)


#: Of a cotangent: (dy, x).
COTANGENTS: dict[str, Callable[[np.ndarray, np.ndarray], bool]] = {
    "tiny": lambda dy, x: bool((np.abs(dy.astype(np.float64)) < 1e-12).all()) and bool(dy.any()),
    "tiny, in float16": lambda dy, x: dy.dtype == np.float16 and 0 < np.abs(dy).max(initial=0) < 2.0**-10,
    "in half precision, with a sum beyond 65,504": lambda dy, x: dy.dtype.name in HALVES and abs(float(dy.sum(dtype=np.float64))) > 65504,
    **{f"in columns beside rows, {d}": lambda dy, x, d=d: dy.dtype.name == d and permuted(dy, x) for d in ("float64", *HALVES)},  # type: ignore[misc]
    **{f"in rows beside columns, {d}": lambda dy, x, d=d: dy.dtype.name == d and permuted(x, dy) for d in ("float64", *HALVES)},  # type: ignore[misc]
}  # fmt: skip


def permuted(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether one lies in Fortran's order and the other in C's."""
    return bool(one.flags.f_contiguous and not one.flags.c_contiguous and other.flags.c_contiguous)


@pytest.mark.parametrize("condition", COTANGENTS)
def test_every_kind_of_cotangent_is_met_in_both_modes(condition: str) -> None:
    """Beside x, what it is and how it lies decides the path of a backward pass."""
    steps = [(c, s) for c in fixed_cases() for s in c.steps if s.call in (TRAINING_GRADIENTS, INFERENCE_GRADIENTS)]
    pairs = [(c.arrays[s.inputs[1]], c.arrays[s.inputs[0]], s.call) for c, s in steps if not s.refused]
    met = {call for dy, x, call in pairs if COTANGENTS[condition](dy, x)}
    assert met == {TRAINING_GRADIENTS, INFERENCE_GRADIENTS}


def test_third_derivatives_are_asked_of_views_and_twice_on_one_layer() -> None:
    """Their memory, and the memory of their results."""
    for call in (TRAINING_THIRD_ORDER, TRAINING_TANGENT_GRADIENT):
        cases = [c for c in fixed_cases() if any(s.call == call for s in c.steps)]
        assert any(not c.arrays["x"].flags.c_contiguous for c in cases)
        assert all([s.call for s in c.steps].count(call) > 1 for c in cases)
