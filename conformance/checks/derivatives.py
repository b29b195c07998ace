"""Checks of the family second_order, and of derivatives asked for in other ways: forward mode, and some gradients only."""

from __future__ import annotations

from bnspec.conformance.checks.check import Check, everywhere, within
from bnspec.conformance.checks.contract import absent
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement

SOME = ("training_some_gradients", "inference_some_gradients")
GRADIENTS = ("dx", "dgamma", "dbeta")


def alone(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The gradients that were asked for are there and right, and y with them."""
    wanted = [n for n in str(exam.step(i).option("wanted")).split() if n == "dx" or exam.built(i).config.affine]
    missing = [n for n in wanted if n not in exam.result(i).outputs]
    if missing:
        return absent(exam, i, missing)
    return exam.within(i, ("y", *wanted))


CHECKS = (
    within("second_order.training", ("training_second_order",), ("by_x",)),
    within("second_order.cotangent_and_scale", ("training_second_order",), ("by_dy", "by_gamma")),
    within("second_order.inference", ("inference_second_order",), ("by_x", "by_dy", "by_gamma")),
    within("gradient.forward_mode", ("training_tangent", "inference_tangent"), ("y", "along")),
    Check("gradient.each_argument_alone", SOME, alone, everywhere),
)
