"""Checks of the family gradient."""

from __future__ import annotations

import numpy as np

from bnspec.conformance.checks.check import (
    Check,
    across_programs,
    count_of,
    earlier,
    everywhere,
    in_full_precision,
    within,
)
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.forward import same_layer, same_state
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import (
    INFERENCE_GRADIENTS,
    INFERENCE_LATE_GRADIENTS,
    TRAINING_GRADIENTS,
    TRAINING_LATE_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
)
from bnspec.model.case import Step
from bnspec.oracle.oracle import Oracle

FORWARD_BACKWARD = (TRAINING_GRADIENTS,)
INFERENCE_BACKWARD = (INFERENCE_GRADIENTS,)
LATE = (TRAINING_LATE_GRADIENTS, INFERENCE_LATE_GRADIENTS)


def constant_cotangent(oracle: Oracle, step: Step) -> Mask:
    """Channels in which dy is constant and not 0."""
    config = oracle.case.config
    dy = oracle.case.arrays[step.inputs[1]].astype(np.float64)
    if not count_of(oracle.case, step):
        return np.zeros(config.channels, bool)
    low, high = (f(dy, axis=config.reduce_axes) for f in (np.min, np.max))
    return np.asarray((low == high) & (low != 0.0))


def forward_agrees(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y with gradients recorded has the bits of y without."""
    plain = exam.step(i).call.with_kind("forward")
    j = earlier(
        exam,
        i,
        lambda j: (
            exam.step(j).call == plain
            and exam.step(j).inputs[0] == exam.step(i).inputs[0]
            and same_state(exam, i, j)
            and same_layer(exam, i, j)
        ),
    )
    if j is None:
        return None
    pair = exam.result(j).outputs["y"], exam.result(i).outputs["y"]
    return exam.bits(i, "equal_bits", "y", pair, f"y differs in bits from step {j}'s, without gradients", j)


CHECKS = (
    within("gradient.training_dx", FORWARD_BACKWARD, ("dx",)),
    within("gradient.training_dgamma", FORWARD_BACKWARD, ("dgamma",)),
    within("gradient.training_dbeta", FORWARD_BACKWARD, ("dbeta",)),
    within("gradient.training_is_stable", FORWARD_BACKWARD, ("dx", "dgamma"), in_full_precision, "permissive"),
    within("gradient.inference_dx", INFERENCE_BACKWARD, ("dx",)),
    within("gradient.inference_parameters", INFERENCE_BACKWARD, ("dgamma", "dbeta")),
    within("gradient.null_space", FORWARD_BACKWARD, ("dx",), constant_cotangent),
    within("gradient.none_through_the_running_update", (TRAINING_STATE_GRADIENTS,), ("dx", "dgamma", "dbeta")),
    within("gradient.of_its_own_forward_pass", LATE, ("y", "dx", "dgamma", "dbeta")),
    Check(
        "gradient.forward_agrees",
        (*FORWARD_BACKWARD, *INFERENCE_BACKWARD),
        forward_agrees,
        everywhere,
        declines=across_programs,
    ),
)
