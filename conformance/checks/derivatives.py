"""Checks of the family second_order, and of derivatives asked for in other ways: forward mode, and some gradients only."""

from __future__ import annotations

from bnspec.conformance.checks.check import Check, everywhere, within
from bnspec.conformance.checks.contract import absent
from bnspec.conformance.checks.examination import Examination, Mask, finite_channels
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import (
    INFERENCE_SECOND_ORDER,
    INFERENCE_SOME_GRADIENTS,
    INFERENCE_TANGENT,
    TRAINING_SECOND_ORDER,
    TRAINING_SOME_GRADIENTS,
    TRAINING_TANGENT,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
)
from bnspec.model.case import Step
from bnspec.oracle.oracle import Oracle

SOME = (TRAINING_SOME_GRADIENTS, INFERENCE_SOME_GRADIENTS)
GRADIENTS = ("dx", "dgamma", "dbeta")


def alone(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The gradients that were asked for are there and right, and y with them."""
    wanted = [n for n in str(exam.step(i).option("wanted")).split() if n == "dx" or exam.built(i).config.affine]
    missing = [n for n in wanted if n not in exam.result(i).outputs]
    if exam.frozen(i):  # whether its own parameters still have gradients is the framework's affair
        missing = [n for n in missing if n == "dx"]
    if missing:
        return absent(exam, i, missing)
    return exam.within(i, ("y", *wanted))


def finite(oracle: Oracle, step: Step) -> Mask:
    """The channels whose inputs are finite: a derivative that is 0 times an infinity, as a program has it, is NaN in good order."""
    return finite_channels(oracle.case, step.inputs)


CHECKS = (
    within("second_order.training", (TRAINING_SECOND_ORDER,), ("by_x",), finite),
    within("second_order.gradient_of_the_tangent", (TRAINING_TANGENT_GRADIENT,), ("by_x",), finite),
    within("second_order.third_derivative", (TRAINING_THIRD_ORDER,), ("third",), finite),
    within("second_order.cotangent_and_scale", (TRAINING_SECOND_ORDER,), ("by_dy", "by_gamma"), finite),
    within("second_order.inference", (INFERENCE_SECOND_ORDER,), ("by_x", "by_dy", "by_gamma"), finite),
    within("gradient.forward_mode", (TRAINING_TANGENT, INFERENCE_TANGENT), ("y", "along"), finite),
    Check("gradient.each_argument_alone", SOME, alone, everywhere),
)
