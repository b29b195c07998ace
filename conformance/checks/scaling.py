"""Checks of the family input: input normalization."""

from __future__ import annotations

import numpy as np

from bnspec.case import Case, Step
from bnspec.conformance.checks.check import Check, earlier, everywhere, only_if, within
from bnspec.conformance.checks.examination import Examination, Judgement, Mask, law, same_bits
from bnspec.oracle import Oracle


def constant_features(oracle: Oracle, step: Step) -> Mask:
    """Features that are constant in the training set, "x"."""
    case = oracle.case
    x = case.arrays["x"].astype(np.float64)
    return (
        np.asarray(np.ptp(x, axis=case.config.reduce_axes) == 0.0) if x.size else np.zeros(case.config.channels, bool)
    )


def finite_on_constants(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The transform is finite on constant features, and not of noise: at the training value it is at most 1 in size."""
    y = exam.result(i).outputs["y"]
    asked = exam.spread(channels, y.shape)
    values = np.where(asked, np.abs(y.astype(np.float64)), 0.0)
    evidence = {"step": i, "call": "transform", "output": "y"}
    if not np.isfinite(values).all():
        return law(False, "a constant feature is not finite", evidence)
    if exam.step(i).inputs == ("x",) and (values > 1.0).any():
        index = np.unravel_index(int(np.argmax(values)), values.shape)
        evidence.update(index=[int(k) for k in index], expected="0.0", got=repr(float(y[index])), bound="1.0")
        return law(False, f"a constant feature becomes {y[index]}", evidence)
    return law(True, "", {})


def same_again(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The same data, transformed again after other data, give the same bits."""
    j = earlier(exam, i, lambda j: exam.step(j) == exam.step(i))
    if j is None:
        return None
    holds = same_bits(exam.result(i).outputs["y"], exam.result(j).outputs["y"])
    return law(holds, f"y differs in bits from step {j}'s", {"step": i, "call": "transform", "output": "y"})


def has_empty(case: Case, step: Step) -> bool:
    """Whether a chunk of the fit has no rows."""
    return step.call == "fit" and any(not case.arrays[n].size for n in step.inputs)


def ignores_empty_chunks(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The fit succeeds, and its statistics are those of the chunks that hold rows."""
    result = exam.result(i)
    if result.status == "error":
        return law(False, f"raised {result.message}", {"step": i, "call": "fit"})
    return exam.within(i, ("mean", "var"))


whole = only_if(lambda case, step: len(step.inputs) == 1)
chunked = only_if(lambda case, step: len(step.inputs) > 1 and not has_empty(case, step))
filled = only_if(lambda case, step: not has_empty(case, step))

CHECKS = (
    within("input.fit", ("fit",), ("mean", "var"), whole),
    within("input.fit_is_stable", ("fit",), ("mean", "var"), filled, "permissive"),
    within("input.chunks_do_not_matter", ("fit",), ("mean", "var"), chunked),
    Check("input.empty_chunk_changes_nothing", ("fit",), ignores_empty_chunks, only_if(has_empty), reads_errors=True),
    within("input.transform", ("transform",), ("y",)),
    within("input.inverse", ("inverse",), ("x",)),
    Check("input.constant_feature_is_finite", ("transform",), finite_on_constants, constant_features),
    Check("input.keeps_statistics", ("transform",), same_again, everywhere),
)
