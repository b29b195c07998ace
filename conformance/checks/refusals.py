"""Checks of the family errors: calls that are malformed on purpose, and what a refusal leaves behind."""

from __future__ import annotations

from bnspec.conformance.checks.check import TRAINING_CALLS, Check, count_of, only_if
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.checks.state import STATE, keeps_state
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step

CALLS = (TRAINING, INFERENCE, TRAINING_GRADIENTS, INFERENCE_GRADIENTS)


def refused(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The call ended with an error."""
    if exam.result(i).status == "error":
        return KEPT
    return exam.broken(i, "raises", f"{exam.step(i).call}({', '.join(exam.step(i).inputs)}) computed a result")


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
)
