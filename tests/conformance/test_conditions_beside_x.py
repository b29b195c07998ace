"""What the cases of every seed meet beside x: masks, cotangents, late backward passes, freezing, and memory of third derivatives.

See ``test_conditions``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from bnspec.conformance.cases.effort import fixed_cases
from bnspec.model.call import (
    INFERENCE_GRADIENTS,
    TRAINING_GRADIENTS,
    TRAINING_LATE_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
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


def test_a_cotangent_on_the_padding_is_met() -> None:
    """What flows from there into a gradient is seen in no other way."""
    dtypes = set()
    for case in fixed_cases():
        for s in case.steps:
            if s.call == TRAINING_MASKED_GRADIENTS:
                dy, mask = case.arrays[s.inputs[1]], case.arrays["mask"].astype(bool)
                dtypes |= {case.config.dtype} if np.where(mask, 0, dy).any() else set()
    assert {"float32", "float64"} <= dtypes


def test_padding_that_is_no_number_is_met_by_every_masked_call() -> None:
    """A product with the mask keeps it."""
    names = [(s.call, s.inputs[0]) for case in fixed_cases() for s in case.steps if s.inputs]
    assert {TRAINING_MASKED, TRAINING_MASKED_GRADIENTS} <= {call for call, name in names if name == "x|repadded:nan"}
    assert (TRAINING_MASKED, "x|repadded:inf") in names


def test_a_mask_that_is_a_view_and_another_mask_on_one_layer_are_met() -> None:
    """Strides of a mask, and what is kept of an earlier one."""
    cases = [c for c in fixed_cases() if "mask" in c.arrays]
    assert any(not c.arrays["mask"].flags.c_contiguous for c in cases)
    for case in cases:
        masks = [(s.fresh, s.inputs[-1]) for s in case.steps if s.call == TRAINING_MASKED]
        pairs = [(one, two) for (_, one), (fresh, two) in itertools.pairwise(masks) if not fresh and one != two]
        if any(case.arrays[one].sum() != case.arrays[two].sum() for one, two in pairs):
            return
    pytest.fail("no layer is given two masks that keep other numbers of elements")


def test_a_layer_frozen_twice_is_unfrozen_once() -> None:
    """It is trainable then."""
    words = [" ".join(s.call.name for s in case.steps) for case in fixed_cases()]
    assert any("freeze freeze" in w and w.count("unfreeze") == 1 for w in words)


def test_a_larger_batch_comes_before_a_late_backward_pass() -> None:
    """What the first pass saved may lie where the second one writes."""
    steps = [(c, s) for c in fixed_cases() for s in c.steps if s.call == TRAINING_LATE_GRADIENTS]
    assert any(c.arrays[s.inputs[2]].size > c.arrays[s.inputs[0]].size for c, s in steps)


def test_a_mask_keeps_one_element() -> None:
    """A single value has no spread, and is no padding."""
    masks = [case.arrays["mask"] for case in fixed_cases() if "mask" in case.arrays]
    assert any(mask.sum() == 1 for mask in masks)
