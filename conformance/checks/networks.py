"""Checks of trajectories: every step of training a network that holds the layer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from bnspec.arithmetic import quad
from bnspec.comparison import ratios_of
from bnspec.conformance.checks.check import Check, everywhere
from bnspec.conformance.checks.examination import Examination, Judgement, Mask, law
from bnspec.expected import TIERS, Expected
from bnspec.network import Descent, Tracked, patches, step
from bnspec.oracle import effective_epsilon
from bnspec.precision import units_of

VALUES = ("w1", "b1", "gamma", "beta", "running_mean", "running_var", "w2", "b2")
LEARN = ("learn",)


def met(exam: Examination, i: int) -> Mapping[str, np.ndarray] | None:
    """The values that step i met: those of the case, or those that the step before left."""
    if i == exam.case.built_at(i):
        return {n: exam.case.arrays[n] for n in VALUES}
    return exam.result(i - 1).outputs if exam.result(i - 1).status == "ok" else None


def told(exam: Examination, i: int) -> dict[str, Tracked]:
    """The exact step from the values that were met, with its bounds; nothing where these are not finite or misshapen."""
    known: dict[int, dict[str, Tracked]] = exam.__dict__.setdefault("_network_steps", {})
    if i not in known:
        known[i] = _told(exam, i)
    return known[i]


def _told(exam: Examination, i: int) -> dict[str, Tracked]:
    before, case = met(exam, i), exam.case
    if before is None or any(before[n].shape != case.arrays[n].shape for n in VALUES):
        return {}
    if not all(np.isfinite(before[n].astype(np.float64)).all() for n in VALUES):
        return {}
    config, first = case.config, case.steps[case.built_at(i)]
    x, labels = (case.arrays[n] for n in exam.step(i).inputs)
    dense = first.option("network") == "dense"
    flat = dataclasses.replace(config, rank=2, channel_axis=1, epsilon=effective_epsilon(config.epsilon, exam.profile))
    rows = x if dense else patches(x)
    values = {n: before[n].astype(np.float64) for n in VALUES}
    values["w1"] = values["w1"].reshape(rows.shape[1], config.channels)
    descent = Descent(
        flat,
        units_of(exam.profile, config.dtype, config.parameter_dtype, "lenient"),
        float(np.float32(first.option("learning_rate"))),
        exam.profile.running_correction,
        len(rows) // len(labels),
    )
    with np.errstate(all="ignore"):
        found = step(values, rows.astype(np.float64), labels, descent)
    shape = case.arrays["w1"].shape
    found["w1"] = Tracked(found["w1"].value.reshape(shape), found["w1"].error.reshape(shape))
    return found


def steps_as_defined(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """All values after the step, and the loss before it, within the bounds of the exact step."""
    return _worst(exam, i, (*VALUES, "loss"))


def bias_stays(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The bias before the layer moves by no more than the rounding of a gradient that is 0."""
    return _worst(exam, i, ("b1",))


def _worst(exam: Examination, i: int, names: tuple[str, ...]) -> Judgement | None:
    expected, result, worst = told(exam, i), exam.result(i), None
    for name in [n for n in names if n in expected]:
        got = result.outputs[name]
        value, error = expected[name]
        if got.shape != value.shape:
            return law(False, f"{name} has shape {got.shape}", {"step": i, "call": "learn", "output": name})
        ratios = ratios_of(got, Expected(quad(value), dict.fromkeys(TIERS, error)), "lenient")
        ratios = np.where(np.isnan(ratios), -1.0, ratios)
        if ratios.max() >= 0.0 and (worst is None or ratios.max() > worst[0]):
            index = tuple(int(k) for k in np.unravel_index(int(ratios.argmax()), ratios.shape))
            worst = float(ratios.max()), name, index
    if worst is None:
        return None
    ratio, name, index = worst
    value, error = expected[name]
    evidence = {"step": i, "call": "learn", "output": name, "index": list(index), "expected": repr(float(value[index]))}
    evidence.update(got=repr(float(result.outputs[name][index])), bound=repr(float(error[index])))
    return Judgement(ratio, evidence if ratio > 1.0 or math.isinf(ratio) else {})


CHECKS = (
    Check("placement.trajectory", LEARN, steps_as_defined, everywhere),
    Check("placement.bias_has_no_gradient", LEARN, bias_stays, everywhere),
)
