"""The forward pass alone, of cases that ask for gradients: for backends that compute none, in one mode or in both.

Such a backend would decline nearly every case; what it computes is judged by the same values, shapes, layouts and histories.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

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
    kept = [role in forward.inputs for role in call.inputs]
    left_out = {"wanted"}
    if _between_cotangents(step, case.steps[step.option("to", 0)], kept):
        left_out |= {"relation", "to"}
    options = tuple(option for option in step.options if option[0] not in left_out)
    return Step(forward, tuple(itertools.compress(step.inputs, kept)), step.fresh, options, step.refused)


def _between_cotangents(step: Step, to: Step, kept: Sequence[bool]) -> bool:
    """Whether a step and the one that it is related to differ in what is not handed over alone."""
    same = [a == b for a, b in zip(step.inputs, to.inputs, strict=False)]
    return all(itertools.compress(same, kept)) and not all(same)
