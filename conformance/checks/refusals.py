"""Checks of the family errors: calls that are malformed on purpose, and what a refusal leaves behind."""

from __future__ import annotations

import math

import numpy as np

from bnspec.conformance.checks.check import TRAINING_CALLS, Check, count_of, everywhere, only_if
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.checks.relations import related
from bnspec.conformance.checks.state import STATE, keeps_state
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import PARAMETERS, Case, Step
from bnspec.model.relations import Relation

CALLS = (TRAINING, INFERENCE, TRAINING_GRADIENTS, INFERENCE_GRADIENTS)


#: The results of a layer are those of another layer with the same history.
SAME = Relation("", dict.fromkeys(("y", "dx", "dgamma", "dbeta", *STATE), lambda a, config, k: a))


def refused(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The call ended with an error; one that was broadcast instead is named as that."""
    if exam.result(i).status == "error":
        return KEPT
    step = exam.step(i)
    call = f"{step.call}({', '.join(step.inputs)})"
    wrong, right = wrong_argument(exam.case, step)
    name, shape = wrong
    output = "dx" if name in step.inputs[1:] else "y"
    result = exam.result(i).outputs.get(output)
    if result is not None and was_broadcast(exam.case, step, result.shape):
        message = f"{call} broadcast {name} of shape {shape}, expected {right}: {output} has shape {result.shape}"
        numbers = exam.case.arrays[step.inputs[0]].shape, result.shape
        return exam.broken(i, "raises", message, output=output, numbers=numbers, names=(name,))
    return exam.broken(i, "raises", f"{call} accepted {name} of shape {shape}, expected {right}, and computed a result")


def wrong_argument(case: Case, step: Step) -> tuple[tuple[str, tuple[int, ...]], str]:
    """(name, shape) of the argument that makes a call malformed, and the expected shape in words."""
    channels = case.config.channels
    for name, array in step.options:
        if name in PARAMETERS and case.arrays[array].shape != (channels,):
            return (name, case.arrays[array].shape), f"({channels},)"
    x, *others = (case.arrays[name].shape for name in step.inputs)
    for name, shape in zip(step.inputs[1:], others):
        if shape != x:
            return (name, shape), f"{x}, the shape of x"
    return (step.inputs[0], x), f"{channels} channels on axis {case.config.channel_axis}"


def was_broadcast(case: Case, step: Step, result: tuple[int, ...]) -> bool:
    """Whether a result of this shape shows that the malformed argument was broadcast, or broadcast what it belongs to.

    The result has another shape than x; or it has x's, and the argument holds fewer values, which NumPy's rules stretch to it.
    """
    config, x = case.config, case.arrays[step.inputs[0]].shape
    if result != x:
        return True
    (name, shape), _ = wrong_argument(case, step)
    if name == step.inputs[0] or (name in PARAMETERS and math.prod(shape) >= config.channels):
        return False
    if name in PARAMETERS:  # a vector belongs on the channel axis
        shape = tuple(shape[0] if a == config.channel_axis else 1 for a in range(len(x))) if len(shape) == 1 else shape
    try:
        return np.broadcast_shapes(shape, x) == x and math.prod(shape) < math.prod(x)
    except ValueError:
        return False


def wrong_parameters(case: Case, step: Step) -> bool:
    """Whether the layer was built from parameters of another length."""
    return any(name in ("gamma", "beta", *STATE) for name, _ in step.options)


def wrong_data(case: Case, step: Step) -> bool:
    """Whether it is x or dy that is malformed."""
    return not wrong_parameters(case, step)


def left_alone(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The state after a call that raised is the state before it, where both could be read."""
    before, after = exam.result(i).before, exam.result(i).after
    if exam.result(i).status != "error" or not all(n in before and n in after for n in STATE):
        return None
    return keeps_state(exam, i, channels)


def stops_before_its_step(case: Case, step: Step) -> bool:
    """Whether what is wrong is wrong with x: a wrong dy or gamma is noticed when the statistics have moved, in good order."""
    wrong_x = step.refused and wrong_data(case, step)
    return step.call == TRAINING and (wrong_x or count_of(case, step) <= 1)


def history(exam: Examination, i: int) -> tuple[list[tuple[object, ...]], list[int]]:
    """The calls on the layer of step i up to it, without malformed ones, and its settings; and the malformed ones."""
    start = exam.case.built_at(i)
    steps = exam.case.steps[start : i + 1]
    calls = [(s.call, s.inputs, s.options) for s in steps if not s.refused]
    return [exam.case.overrides(i), *calls], [start + k for k, s in enumerate(steps) if s.refused]


def continues(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The result after calls that raised, and the state, are those of a layer that was never called that way.

    Asked where x was wrong: a wrong dy is noticed when the forward pass is done, in good order.
    """
    calls, malformed = history(exam, i)
    if not malformed or not all(exam.result(k).status == "error" for k in malformed):
        return None
    if any(len(exam.step(k).inputs) > 1 for k in malformed):
        return None
    twins = (j for j in range(len(exam.case.steps)) if exam.step(j).call == exam.step(i).call)
    j = next((j for j in twins if not exam.step(j).refused and history(exam, j) == (calls, [])), None)
    if j is None or exam.result(j).status != "ok":
        return None
    found = [related(exam, i, j, output, SAME, 1.0) for output in SAME.follows]
    return max((f for f in found if f is not None), key=lambda f: f.ratio, default=None)


CHECKS = (
    Check("errors.malformed_data", CALLS, refused, only_if(wrong_data), reads_errors=True, of_refused=True),
    Check("errors.malformed_parameters", CALLS, refused, only_if(wrong_parameters), reads_errors=True, of_refused=True),
    Check(
        "errors.leave_the_state",
        TRAINING_CALLS,
        left_alone,
        only_if(stops_before_its_step),
        reads_errors=True,
        of_refused=None,
    ),
    Check("errors.continue_as_if_not_called", CALLS, continues, everywhere),
)
