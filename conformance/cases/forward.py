"""The forward pass alone, of cases that ask for gradients: for backends that compute none, in one mode or in both.

Such a backend would decline nearly every case; what it computes is judged by the same values, shapes, layouts and histories.
"""

from __future__ import annotations

import dataclasses

from bnspec.model.case import PARAMETERS, SEPARATOR, Case, Step
from bnspec.model.conventions import Conventions


def offered(case: Case, conventions: Conventions) -> Case:
    """The case with the forward pass in place of each call whose gradients the backend does not compute; itself, where there is none."""
    steps = tuple(_offered(case, step, conventions) for step in case.steps)
    if steps == case.steps:
        return case
    named = {name for step in steps for name in (*step.inputs, *(str(value) for _, value in step.options))}
    needed = {*PARAMETERS, *named, *(name.partition(SEPARATOR)[0] for name in named)}
    arrays = {name: array for name, array in case.arrays.items() if name in needed}
    return dataclasses.replace(case, steps=steps, arrays=arrays)


def _offered(case: Case, step: Step, conventions: Conventions) -> Step:
    call = step.call
    if not call.has_gradients or call.mode in conventions.gradient_modes:
        return step
    if step.refused and len({case.arrays[name].shape for name in step.inputs}) > 1:
        return step  # what is malformed may be dy
    forward = call.with_kind("masked" if call.has_mask else "forward")
    inputs = tuple(name for name, role in zip(step.inputs, call.inputs, strict=False) if role in forward.inputs)
    return Step(forward, inputs, step.fresh, tuple(o for o in step.options if o[0] != "wanted"), step.refused)
