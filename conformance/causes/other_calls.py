"""The calls that are added to a case, so that clauses about different calls are judged on the same arrays and settings."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from bnspec.conformance.causes.arrays import COMPACTED, whole_inputs, without_padding
from bnspec.conformance.causes.values import ordinary_values
from bnspec.errors import UsageError
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS, Call
from bnspec.model.case import Case, Step, shares_state

#: Ends the name of an array of integers as floating numbers.
FLOATING = "_floating"
#: Calls for derivatives beyond the gradients.
DERIVATIVES = ("second_order", "tangent", "third_order", "tangent_gradient")


def with_other_calls(case: Case, derivatives: Collection[Call] = ()) -> Case:
    """The case, then a new layer called on the same arrays in each mode, with and without gradients.

    A clause about another call than the case's is thus judged on the same arrays and settings. Of a masked call the arrays are
    those without their padding, and integers are also given as floating numbers: what is wrong there is no fault of the mask, nor
    of integers. A frozen layer also infers: what is wrong there is no fault of freezing.

    Args:
        derivatives: further calls; they are made where the case has one of them.
    """
    if case.subject != "batch_norm" or shares_state(case):
        return case
    steps = _with_inference_of_frozen(case)
    arrays = dict(case.arrays)
    if any(s.refused for s in case.steps):
        return _changed(case, arrays, steps)
    first = _first_input(case, arrays)
    if first is None:
        return _changed(case, arrays, steps)
    pairs = [s.inputs[1] for s in case.steps if s.call.has_gradients and s.inputs[0] == first]
    dy = next(iter(pairs), "dy_of_causes")
    if not pairs:
        arrays[dy] = ordinary_values("dy", arrays[first].shape, arrays[first].dtype)
    mask = next((s.inputs[-1] for s in case.steps if s.call.has_mask), None)
    if mask is not None:
        first, dy = _without_padding(case, arrays, first, dy, mask)
    calls = [(INFERENCE_GRADIENTS, (first, dy)), (TRAINING_GRADIENTS, (first, dy)), (TRAINING, (first,))]
    if mask is None:
        calls += _derivatives(case, derivatives)
    threaded = max(case.steps, key=lambda step: int(step.option("threads") or 0))
    options = threaded.options if threaded.option("threads") else ()
    there = {(step.call, step.inputs) for step in case.steps}  # a second one would be compared with it as a repetition
    added = tuple(Step(call, inputs, True, options) for call, inputs in calls if (call, inputs) not in there)
    return _changed(case, arrays, (*steps, *added))


def _changed(case: Case, arrays: dict[str, np.ndarray], steps: tuple[Step, ...]) -> Case:
    """The case with these arrays and steps; itself, where an array has a shape that a call does not take."""
    changes: dict[str, Any] = {"arrays": arrays, "steps": steps}
    try:
        return case.with_(**changes) if steps != case.steps else case
    except UsageError:
        return case


def _with_inference_of_frozen(case: Case) -> tuple[Step, ...]:
    """The steps, each pass of a frozen layer in training followed by an inference on the same input."""
    found: list[Step] = []
    related = any(step.option("to") is not None for step in case.steps)  # by number
    for i, step in enumerate(case.steps):
        found.append(step)
        passes = step.call.mode == "training" and not step.refused and not step.call.has_mask
        if passes and case.settings_at(i)[1] and (not related or i == len(case.steps) - 1):
            found.append(Step(INFERENCE, step.inputs[:1]))
    return tuple(found)


def _first_input(case: Case, arrays: dict[str, np.ndarray]) -> str | None:
    """The first whole input; of integers, the same numbers in the layer's dtype, which are put among the arrays."""
    names = whole_inputs(case)
    given = [n for step in case.steps for n in step.inputs]
    first = next((n for n in given if n in names), None)
    integers = next((n for n in given if arrays[n].dtype.kind in "iu" and arrays[n].ndim == case.config.rank), None)
    if first is None and integers is not None and "mask" not in arrays:
        dtype = arrays["running_mean"].dtype if case.config.dtype == case.config.parameter_dtype else None
        first = integers + FLOATING if dtype is not None else None
        if first is not None:
            arrays[first] = arrays[integers].astype(dtype)
    return first


def _without_padding(case: Case, arrays: dict[str, np.ndarray], first: str, dy: str, mask: str) -> tuple[str, str]:
    """The names of an input and its cotangent without padding, which are put among the arrays."""
    parts = {n: without_padding(case, n, mask) for n in (first, dy) if n in case.arrays}
    arrays.update({n + COMPACTED: a for n, a in parts.items() if a is not None})
    first, dy = (n + COMPACTED if n + COMPACTED in arrays else n for n in (first, dy))
    if arrays[dy].shape != arrays[first].shape:
        arrays[dy] = ordinary_values("dy", arrays[first].shape, arrays[first].dtype)
    return first, dy


def _derivatives(case: Case, calls: Collection[Call]) -> list[tuple[Call, tuple[str, ...]]]:
    """Calls for derivatives by the inputs of those that the case makes, as far as it has them."""
    given = [dict(zip(s.call.inputs, s.inputs)) for s in case.steps if s.call.kind in DERIVATIVES]
    if not given:
        return []
    of = max(given, key=len)
    return [(c, tuple(of[n] for n in c.inputs)) for c in sorted(calls, key=str) if all(n in of for n in c.inputs)]
