"""Checks of the family dtype beyond floating point: x of integer dtypes."""

from __future__ import annotations

from bnspec.conformance.checks.check import Check, everywhere
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import INFERENCE, TRAINING


def integers_become_floating(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Results of integers are those of the same numbers in floating point, in a floating dtype."""
    y = exam.result(i).outputs["y"]
    if y.dtype.kind in "iub":
        message = f"y of integers has the dtype {y.dtype.name}"
        return exam.broken(i, "dtype", message, output="y", numbers=("floating", y.dtype.name))
    return exam.within(i, ("y", "running_mean", "running_var"))


CHECKS = (
    Check(
        "dtype.integers_become_floating", (TRAINING, INFERENCE), integers_become_floating, everywhere, of_integers=True
    ),
)
