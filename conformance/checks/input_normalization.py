"""Checks of the family input: input normalization."""

from __future__ import annotations

import dataclasses

import numpy as np

from bnspec.bounds.batch_norm import inverse_error, transform_error
from bnspec.conformance.checks.check import Check, earlier, everywhere, only_if, within
from bnspec.conformance.checks.examination import Examination, Mask, first_index
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.model.call import FIT, INVERSE, TRANSFORM
from bnspec.model.case import Case, Step
from bnspec.model.precision import units_of
from bnspec.oracle.oracle import Oracle


def constant_features(oracle: Oracle, step: Step) -> Mask:
    """Features that are constant in the training set, "x"."""
    case = oracle.case
    x = case.arrays["x"].astype(np.float64)
    return (
        np.asarray(np.ptp(x, axis=case.config.reduce_axes) == 0.0) if x.size else np.zeros(case.config.channels, bool)
    )


def of_training_set(exam: Examination, i: int) -> bool:
    """Whether the last fit was on the training set, whole or in chunks, and not on other data."""
    fit = exam.fit_before(i)
    return fit is not None and all(n == "x" or n.startswith("chunk") for n in exam.step(fit).inputs)


def finite_on_constants(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The transform is finite on constant features, and not of noise: at the training value it is 0, but for errors of the mean."""
    if not of_training_set(exam, i):
        return None
    y = exam.result(i).outputs["y"]
    asked = exam.spread(channels, y.shape, i)
    values = np.where(asked, np.abs(y.astype(np.float64)), 0.0)
    if not np.isfinite(values).all():
        place = first_index(~np.isfinite(values))
        numbers = None, y[place]
        return exam.broken(i, "finite", "a constant feature is not finite", output="y", index=place, numbers=numbers)
    if exam.step(i).inputs != ("x",):
        return KEPT
    bound = np.broadcast_to(left_of_constants(exam, i), values.shape)
    if (values > bound).any():
        index = np.unravel_index(int(np.argmax(np.where(values > bound, values, 0.0))), values.shape)
        message = f"a constant feature becomes {y[index]}"
        return exam.broken(i, "bounded", message, output="y", index=index, numbers=(0.0, y[index], bound[index]))
    return KEPT


def left_of_constants(exam: Examination, i: int) -> np.ndarray:
    """What may be left of a constant feature at its training value: the error of the mean and that of the difference.

    (E_mean + E_transform) / s,   s = 1, as a variance of 0 counts as 1, or the root of the epsilon that is declared
    """
    config, fit = exam.case.config, exam.fit_before(i)
    assert fit is not None  # the step transforms what it has fitted
    mean = exam.expected(fit)["mean"]
    value, error = (np.abs(a.reshape(config.channel_shape)) for a in (mean.rounded, mean.bounds["lenient"]))
    units = units_of(exam.conventions, config.dtype, config.parameter_dtype)
    difference = transform_error((value, value + error, np.ones_like(value), error), units)
    scale = np.sqrt(exam.conventions.input_epsilon) or 1.0
    return np.asarray((error + difference) / scale)


def same_again(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The same data, transformed again after other data, give the same bits."""
    j = earlier(exam, i, lambda j: exam.step(j) == exam.step(i) and exam.fit_before(j) == exam.fit_before(i))
    if j is None:
        return None
    pair = exam.result(j).outputs["y"], exam.result(i).outputs["y"]
    return exam.bits(i, "equal_bits", "y", pair, f"y differs in bits from step {j}'s", j)


def has_empty(case: Case, step: Step) -> bool:
    """Whether a chunk of the fit has no rows, and another has."""
    return step.call.kind == "fit" and any(not case.arrays[n].size for n in step.inputs) and not no_rows(case, step)


def ignores_empty_chunks(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The fit succeeds, and its statistics are those of the chunks that hold rows."""
    result = exam.result(i)
    if result.status == "error":
        return exam.broken(i, "returns", f"raised {result.message}", exception=result.message)
    return exam.within(i, ("mean", "var"))


def in_other_units(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Fitted and transformed in units k times smaller, the values are those of the first transform, but for k's sign.

    Nothing is said of a backend that declares an epsilon under the root: x by sqrt(var + epsilon) depends on the unit.
    """
    word, _, number = str(exam.step(i).option("relation", "")).partition(":")
    j = earlier(exam, i, lambda j: exam.step(j).call.kind == "transform" and exam.step(j).inputs == ("x",))
    if word != "units" or j is None or exam.conventions.input_epsilon:
        return None
    sign = np.sign(float(number))
    got, base = exam.result(i).outputs["y"], sign * exam.result(j).outputs["y"].astype(np.float64)
    a, b = (exam.case.arrays[exam.step(n).inputs[0]].astype(np.float64) for n in (i, j))
    ours, theirs = exam.expected(i).get("y"), exam.expected(j).get("y")
    if ours is None or theirs is None or got.shape != base.shape or not np.array_equal(a, b * float(number)):
        return None
    with np.errstate(all="ignore"):
        limit = ours.bounds["lenient"] + theirs.bounds["lenient"]
        limit = limit + _through_fit(exam, i, ours.rounded) + _through_fit(exam, j, theirs.rounded)
        error = np.abs(got.astype(np.float64) - base)
        ratio = np.where(error == 0.0, 0.0, error / limit)
    said = np.isfinite(limit) & ~np.isnan(ours.bounds["lenient"]) & ~np.isnan(theirs.bounds["lenient"])
    if not said.any():
        return None
    ratio = np.where(said & ~np.isnan(ratio), ratio, 0.0)
    message = f"y differs from step {j}'s, of the same data in other units"
    return exam.worst_element(i, "agrees", "y", ratio, (base, got, limit), message, j)


def _through_fit(exam: Examination, i: int, y: np.ndarray) -> np.ndarray:
    """What errors of the fit before step i, within their bounds, make of the exact transform y by its statistics.

    |dy| <= E_mean / std / (1 - r) + |y| r,   r = E_var / var <= 1/2;   infinite beyond
    """
    fit = exam.fit_before(i)
    assert fit is not None  # there is a transform of what it has fitted
    shape, expected = exam.case.config.channel_shape, exam.expected(fit)
    mean, var = (expected[n].bounds["lenient"].reshape(shape) for n in ("mean", "var"))
    exact = expected["var"].rounded.reshape(shape)
    r = var / exact
    through = mean / np.sqrt(exact) / (1.0 - r) + np.abs(y) * r
    return np.where(r <= 0.5, through, np.inf)


def constants_keep_their_unit(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """On features that are constant in the training set, the transform of other data is x - mean, to the last digit but two."""
    y, fitted = exam.result(i).outputs["y"].astype(np.float64), exam.fitted(i)
    if exam.step(i).inputs == ("x",) or "mean" not in fitted or not of_training_set(exam, i):
        return None
    config = exam.case.config
    x = exam.case.arrays[exam.step(i).inputs[0]].astype(np.float64)
    mean = fitted["mean"].astype(np.float64).reshape(config.channel_shape)
    units = units_of(exam.conventions, config.dtype, config.parameter_dtype)
    bound = transform_error((np.abs(x), np.abs(mean), np.ones_like(mean), np.abs(x - mean)), units)
    ratio = np.where(exam.spread(channels, y.shape, i), np.abs(y - (x - mean)) / bound, 0.0)
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    numbers = x - mean, y, np.broadcast_to(bound, y.shape)
    message = "a constant feature is scaled by something else than 1"
    return exam.worst_element(i, "within_bound", "y", ratio, numbers, message)


def undoes(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The inverse is y std + mean; on features that are constant in the training set, it undoes what the transform does."""
    found = [exam.within(i, ("x",)), undoes_on_constants(exam, i)]
    return max((f for f in found if f is not None), key=lambda f: f.ratio, default=None)


def undoes_on_constants(exam: Examination, i: int) -> Judgement | None:
    """Whatever a constant feature is divided by, the inverse multiplies by it: s as the transform of other data shows it.

    s = (x - mean) / y,   off by at most r s, r = q / (1 - q) with q = E_transform / |y| <= 1/2, so that the inverse of y' is off by
    |y'| s r beside its own error.
    """
    others = (k for k in range(i) if exam.step(k).inputs == ("unseen",) and exam.fit_before(k) == exam.fit_before(i))
    j = next((k for k in others if exam.step(k).call == TRANSFORM and exam.result(k).status == "ok"), None)
    if j is None or not of_training_set(exam, i) or "mean" not in exam.fitted(i):
        return None
    config, shape = exam.case.config, exam.case.config.channel_shape
    units = units_of(exam.conventions, config.dtype, config.parameter_dtype)
    x, y = (
        np.moveaxis(a.astype(np.float64), config.channel_axis, 0).reshape(config.channels, -1) for a in pair(exam, j)
    )
    mean = exam.fitted(i)["mean"].astype(np.float64)
    far = np.abs(x - mean[:, None]).argmax(1)
    x, y = (a[np.arange(config.channels), far] for a in (x, y))
    given, got = (a.astype(np.float64) for a in pair(exam, i))
    with np.errstate(all="ignore"):
        scale = (x - mean) / y
        q = transform_error((np.abs(x), np.abs(mean), np.abs(scale), np.abs(y)), units) / np.abs(y)
        r = (q / (1.0 - q)).reshape(shape)
        s, m = scale.reshape(shape), mean.reshape(shape)
        expected = given * s + m
        sizes = np.abs(given), np.abs(m), np.abs(s) * (1.0 + r), np.abs(expected)
        bound = inverse_error(sizes, units) + np.abs(given * s) * r
        ratio = np.abs(got - expected) / bound
    said = constant_features(exam.oracle_at(i), exam.step(i)) & np.isfinite(scale) & (q <= 0.5)
    asked = exam.spread(said, got.shape, i) & np.isfinite(bound)
    if got.shape != given.shape or not asked.any():
        return None
    ratio = np.where(asked, np.where(np.isnan(ratio), np.inf, ratio), 0.0)
    message = f"x is not what the transform of step {j} gives y for, in a constant feature"
    return exam.worst_element(i, "agrees", "x", ratio, (expected, got, bound), message, j)


def pair(exam: Examination, i: int) -> tuple[np.ndarray, np.ndarray]:
    """What a transform or its inverse is given, and what it gives."""
    return exam.case.arrays[exam.step(i).inputs[0]], exam.result(i).outputs[
        "y" if exam.step(i).call == TRANSFORM else "x"
    ]


def nothing_learnt(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A fit without rows raises, or leaves statistics that are not finite: no mean of 0 and variance of 1 by default."""
    result = exam.result(i)
    if result.status == "error":
        return KEPT
    finite = [n for n in ("mean", "var") if np.isfinite(result.outputs[n].astype(np.float64)).all()]
    if len(finite) < 2:
        return KEPT
    return exam.broken(i, "raises", "fitted on nothing, and has statistics", output="mean")


def needs_a_fit(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A transform without statistics raises."""
    if exam.result(i).status == "error":
        return KEPT
    return exam.broken(i, "raises", "transformed x before any fit, and raised nothing", output="y")


def no_rows(case: Case, step: Step) -> bool:
    """Whether no chunk of the fit has a row."""
    return all(case.arrays[n].size == 0 for n in step.inputs)


def leaves_out_missing(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The statistics of each feature are those of its values that are not NaN."""
    case, step = exam.case, exam.step(i)
    found = [of_those_there(exam, step, c) for c in range(case.config.channels)]
    worst: Judgement | None = None
    for name in ("mean", "var"):
        got = exam.result(i).outputs[name].astype(np.float64)
        exact, bound = (np.array([f[name][k] for f in found]) for k in (0, 1))
        with np.errstate(all="ignore"):
            ratio = np.where(got == exact, 0.0, np.abs(got - exact) / bound)
        ratio = np.where(np.isnan(ratio), np.inf, ratio)
        message = f"{name} is not that of the values that are there"
        judged = exam.worst_element(i, "within_bound", name, ratio, (exact, got, bound), message)
        worst = judged if worst is None or judged.ratio > worst.ratio else worst
    return worst


def of_those_there(exam: Examination, step: Step, channel: int) -> dict[str, tuple[float, float]]:
    """(exact, bound) of the mean and the variance of one feature's values that are not NaN."""
    config = exam.case.config
    lanes = [np.moveaxis(exam.case.arrays[n], config.channel_axis, -1)[..., channel].reshape(-1) for n in step.inputs]
    rows = {f"chunk{k}": lane[~np.isnan(lane.astype(np.float64))].reshape(-1, 1) for k, lane in enumerate(lanes)}
    rows = {n: a for n, a in rows.items() if a.size}
    one = dataclasses.replace(config, rank=2, channel_axis=1, channels=1)
    fit = Step(FIT, tuple(rows), fresh=True)
    answers = Oracle(exam.case.with_(config=one, arrays=rows, steps=(fit,))).expect(fit, {}, exam.conventions)
    return {n: (float(a.rounded[0]), float(a.bounds["lenient"][0])) for n, a in answers.items()}


whole = only_if(lambda case, step: len(step.inputs) == 1)
chunked = only_if(lambda case, step: len(step.inputs) > 1 and not has_empty(case, step))
filled = only_if(lambda case, step: not has_empty(case, step))

CHECKS = (
    within("input.fit", (FIT,), ("mean", "var"), whole),
    within("input.fit_is_stable", (FIT,), ("mean", "var"), filled, "permissive"),
    within("input.chunks_do_not_matter", (FIT,), ("mean", "var"), chunked),
    Check("input.empty_chunk_changes_nothing", (FIT,), ignores_empty_chunks, only_if(has_empty), reads_errors=True),
    within("input.transform", (TRANSFORM,), ("y",)),
    Check("input.inverse", (INVERSE,), undoes, everywhere),
    Check("input.constant_feature_is_finite", (TRANSFORM,), finite_on_constants, constant_features),
    within(
        "input.merge_in_any_order",
        (FIT,),
        ("mean", "var"),
        only_if(lambda case, step: step.option("relation") == "reordered" and not has_empty(case, step)),
    ),
    Check("input.units_do_not_matter", (TRANSFORM,), in_other_units, everywhere),
    within("input.unseen_data", (TRANSFORM,), ("y",), only_if(lambda case, step: step.inputs == ("far",))),
    Check("input.constant_feature_keeps_its_unit", (TRANSFORM,), constants_keep_their_unit, constant_features),
    Check("input.missing_values_are_left_out", (FIT,), leaves_out_missing, everywhere, of_missing=True),
    Check("input.nothing_to_fit", (FIT,), nothing_learnt, only_if(no_rows), reads_errors=True),
    Check("input.transform_needs_a_fit", (TRANSFORM,), needs_a_fit, everywhere, reads_errors=True, of_refused=True),
    Check("input.keeps_statistics", (TRANSFORM,), same_again, everywhere),
)
