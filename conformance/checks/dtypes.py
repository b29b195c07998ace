"""Checks of the family dtype beyond floating point: x of integer dtypes."""

from __future__ import annotations

from bnspec.conformance.checks.check import Check, everywhere
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.checks.state import STATE, keeps_state
from bnspec.model.call import FIT, INFERENCE, TRAINING, TRANSFORM


def integers_become_floating(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Results of integers are those of the same numbers in floating point, in a floating dtype; constant statistics stay."""
    frozen = exam.conventions.frozen_gradients if exam.frozen(i) else ""
    if frozen == "unspecified":
        return None
    call = exam.step(i).call
    names = ("mean", "var") if call == FIT else ("y",)
    for name in names:
        found = exam.result(i).outputs[name].dtype
        if found.kind in "iub":
            message = f"{name} of integers has the dtype {found.name}"
            return exam.broken(i, "dtype", message, output=name, numbers=("floating", found.name))
    if frozen == "constants":
        moved = keeps_state(exam, i, channels)
        if moved is not None and not moved.holds:
            return moved
    return exam.within(i, (*names, *STATE) if call in (TRAINING, INFERENCE) else names)


CHECKS = (
    Check(
        "dtype.integers_become_floating",
        (TRAINING, INFERENCE, FIT, TRANSFORM),
        integers_become_floating,
        everywhere,
        of_integers=True,
    ),
)
