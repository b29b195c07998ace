"""The forward pass alone, of cases that ask for gradients: for backends that compute none, in one mode or in both.

Such a backend would decline nearly every case; what it computes is judged by the same values, shapes, layouts and histories.
"""

from __future__ import annotations

import dataclasses
import itertools

from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions

#: The relation between two calls that differ in dy alone: of forward passes it holds whatever they compute.
OF_COTANGENTS = "cotangent:"


def offered(case: Case, conventions: Conventions) -> Case:
    """The case with the forward pass in place of each call whose gradients the backend does not compute; itself, where there is none.

    Its arrays stay, so that cases which differ in dy alone keep different ids.
    """
    steps = tuple(_offered(case, step, conventions) for step in case.steps)
    return case if steps == case.steps else dataclasses.replace(case, steps=steps)


def _offered(case: Case, step: Step, conventions: Conventions) -> Step:
    call = step.call
    if not call.has_gradients or call.mode in conventions.gradient_modes:
        return step
    if step.refused and len({case.arrays[name].shape for name in step.inputs}) > 1:
        return step  # what is malformed may be dy
    forward = call.with_kind("masked" if call.has_mask else "forward")
    kept = [role in forward.inputs for role in call.inputs]
    left_out = {"wanted"}
    if str(step.option("relation", "")).startswith(OF_COTANGENTS):
        left_out.add("relation")
    options = tuple(option for option in step.options if option[0] not in left_out)
    return Step(forward, tuple(itertools.compress(step.inputs, kept)), step.fresh, options, step.refused)
