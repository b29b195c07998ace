"""Cases for devices: one call again and again on shapes of many blocks, where races between them show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.model.call import INFERENCE_GRADIENTS, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step

#: (shape, channel axis, layout): a long table, and images with the channels innermost in memory.
SHAPES = (((4096, 64), 1, "packed"), ((8, 64, 32, 32), 1, "channels_last"), ((8, 3, 64, 64), 1, "channels_last"))
#: How often a call is repeated on an equal layer.
TIMES = 21


def race_cases() -> Iterator[Case]:
    """Forward and backward in both modes, each repeated on equal layers; gradients pass every reduction of a layer."""
    for number, (shape, axis, layout) in enumerate(SHAPES):
        plan = Plan(Form(shape, axis), "ordinary", layout=layout, dy_layout=layout, seed=170 + number, short=True)
        case = batch_norm_case(plan)
        for call in (TRAINING_GRADIENTS, INFERENCE_GRADIENTS):
            again = tuple(Step(call, ("x", "dy"), fresh=True, options=(("repeats", n),)) for n in range(1, TIMES))
            steps = (Step(call, ("x", "dy"), fresh=True), *again)
            yield dataclasses.replace(case, steps=steps).with_(
                origin={**case.origin, "purpose": f"{call.name}, {TIMES} times over many blocks"}
            )
