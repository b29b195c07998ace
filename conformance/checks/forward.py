"""Checks of the families training, epsilon, affine and inference: what forward passes return."""

from __future__ import annotations

import numpy as np

from bnspec.arithmetic.quad import double
from bnspec.conformance.checks.check import (
    INFERENCE_CALLS,
    TRAINING_CALLS,
    Check,
    across_programs,
    count_of,
    earlier,
    everywhere,
    in_full_precision,
    only_if,
    within,
)
from bnspec.conformance.checks.examination import Examination, Mask, finite_channels, first_index, same_bits
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.model.call import INFERENCE
from bnspec.model.case import Step
from bnspec.model.precision import PRECISIONS, units_of
from bnspec.oracle.oracle import Oracle


def _batch_var(oracle: Oracle, step: Step) -> np.ndarray:
    """The population variance of the step's x, (C,) float64; NaN for an empty batch."""
    batch = oracle.batch(step.inputs[0], oracle.case.config.epsilon)
    return batch.var64.reshape(-1) if batch.count else np.full(oracle.case.config.channels, np.nan)


def epsilon_counts_in_training(oracle: Oracle, step: Step) -> Mask:
    """Channels whose epsilon is at least a sixteenth of the batch variance."""
    return np.asarray(oracle.case.config.epsilon * 16.0 >= _batch_var(oracle, step))


def _running_var(oracle: Oracle) -> np.ndarray:
    return oracle.case.arrays["running_var"].astype(np.float64)


def epsilon_counts_in_inference(oracle: Oracle, step: Step) -> Mask:
    """Channels whose epsilon is at least a sixteenth of the initial running variance."""
    return np.asarray(oracle.case.config.epsilon * 16.0 >= _running_var(oracle))


def small_epsilon_counts(oracle: Oracle, step: Step) -> Mask:
    """Channels where an epsilon of at most 2^-16 is within a factor 64 of the variance that it is added to, or alone; all that vary where it is 0."""
    epsilon = oracle.case.config.epsilon
    var = _running_var(oracle) if step.call.mode == "inference" else _batch_var(oracle, step)
    return np.asarray((epsilon <= 2.0**-16) & (var <= 64.0 * epsilon)) | np.asarray((epsilon == 0.0) & (var > 0.0))


def ignores_running_state(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y of the same x in training, from another state: within both bounds."""
    first = exam.step(i).inputs[0]
    j = earlier(exam, i, lambda j: exam.step(j).call in TRAINING_CALLS and exam.step(j).inputs[0] == first)
    expected = exam.expected(i).get("y")
    if j is None or expected is None or same_state(exam, i, j) or not same_layer(exam, i, j) or exam.frozen(i):
        return None
    return agreement(exam, i, j, "y", f"y differs from step {j}'s, of the same x")


def agreement(exam: Examination, i: int, j: int, name: str, message: str) -> Judgement | None:
    """The judgement that an output of two steps with one exact value agrees within both bounds; None where nothing is said."""
    expected, a, b = exam.expected(i).get(name), exam.got(i, name), exam.got(j, name)
    if expected is None or a is None or b is None:
        return None
    if a.shape != b.shape:
        return exam.misshapen(i, name, b.shape, a.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference, bound = np.abs(a.astype(np.float64) - b.astype(np.float64)), 2.0 * expected.bounds["permissive"]
        ratio = np.where(difference == 0.0, 0.0, difference / bound)
    ratio = np.where(np.isfinite(bound) & exam.spread(exam.finite_channels(i), ratio.shape, i), ratio, np.nan)
    if np.isnan(ratio).all():
        return None
    ratio = np.where(np.isnan(ratio), -1.0, ratio)
    return exam.worst_element(i, "agrees", name, ratio, (b, a, bound), message, j)


def same_layer(exam: Examination, i: int, j: int) -> bool:
    """Whether the layers of both steps have the same parameters and settings, and may use the same threads."""
    starts = [exam.step(exam.case.built_at(n)) for n in (i, j)]
    alike = exam.oracle_at(i) is exam.oracle_at(j) and exam.frozen(i) == exam.frozen(j)
    return alike and starts[0].option("threads") == starts[1].option("threads")


def same_state(exam: Examination, i: int, j: int) -> bool:
    """Whether both steps began with the same bits of state."""
    return all(same_bits(a, exam.result(j).before[n]) for n, a in exam.result(i).before.items())


def ordinary_size(oracle: Oracle, step: Step) -> Mask:
    """Channels with finite values whose squares fit the statistics' range with room, and with more than one value."""
    case, config = oracle.case, oracle.case.config
    if count_of(case, step) < 2 or config.epsilon <= 0.0:
        return np.zeros(config.channels, bool)
    batch, largest = oracle.batch(step.inputs[0], config.epsilon), PRECISIONS[config.dtype].largest
    with np.errstate(invalid="ignore", over="ignore"):
        # x's own precision may be computed in: squares and their sum fit, and so do products with a cotangent
        fits = (batch.mean_square * batch.count).reshape(-1) <= largest / 4.0
        fits &= batch.spread.reshape(-1) <= largest / 64.0
        # inv_std itself, and what a folded form adds to: x inv_std and mean inv_std
        inv_std = (batch.var64.reshape(-1) + config.epsilon) ** -0.5
        fits &= inv_std * np.maximum(1.0, 2.0 * batch.largest.reshape(-1)) <= largest / 64.0
        if len(step.inputs) == 2:
            dy = np.abs(case.arrays[step.inputs[1]].astype(np.float64))
            # differentiated graphs form inv_std^3 and sums of dy x
            cubed = (batch.var64.reshape(-1) + config.epsilon) ** -1.5
            fits &= cubed * np.maximum(1.0, np.sum(dy * batch.abs_x, axis=config.reduce_axes)) <= largest / 64.0
    return np.asarray(fits & finite_channels(case, step.inputs) & (batch.var64.reshape(-1) < 1e30))


def finite_results(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """No NaN and no infinity where the exact result is comfortably inside the range."""
    config = exam.built(i).config
    units = units_of(exam.conventions, config.dtype, config.parameter_dtype)
    batch = exam.oracle_at(i).batch(exam.step(i).inputs[0], config.epsilon)
    if (batch.mean_square * batch.count > units.statistics.largest / 4.0).any():
        return None
    judged = False
    for name, expected in exam.expected(i).items():
        got = exam.got(i, name)
        if got is None or got.shape != expected.value.shape:
            continue
        limit = min(PRECISIONS[_stored(exam, name)].largest, units.statistics.largest) / 1024.0
        inside = (np.abs(expected.rounded) < limit) & exam.spread(channels, got.shape, i)
        if name.startswith("running_"):
            inside &= np.isfinite(exam.result(i).before[name].astype(np.float64))
        judged |= bool(inside.any())
        bad = inside & ~np.isfinite(got.astype(np.float64))
        if bad.any():
            index = first_index(bad)
            numbers = double(expected.value[index]), got[index]
            return exam.broken(i, "finite", f"{name} is {got[index]}", output=name, index=index, numbers=numbers)
    return KEPT if judged else None


def _stored(exam: Examination, name: str) -> str:
    return exam.case.config.dtype if name in ("y", "dx") else exam.case.config.parameter_dtype


def repeatable(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The same call on the same state gives the same bits; where the device is documented not to, results within both bounds."""

    def alike(j: int) -> bool:
        return (
            exam.step(j).call == exam.step(i).call
            and exam.step(j).inputs == exam.step(i).inputs
            and same_state(exam, i, j)
            and same_layer(exam, i, j)
        )

    j = earlier(exam, i, alike)
    if j is None:
        return None
    if exam.step(i).call.name in exam.conventions.not_repeatable:
        return agreements(exam, i, j)
    groups = ((exam.result(i).outputs, exam.result(j).outputs), (exam.result(i).after, exam.result(j).after))
    for now, then in groups:
        for name in now:
            message = f"{name} differs in bits from step {j}'s"
            if name not in then:
                return exam.broken(i, "equal_bits", message, output=name, compared_with=j)
            found = exam.bits(i, "equal_bits", name, (then[name], now[name]), message, j)
            if not found.holds:
                return found
    return KEPT


def agreements(exam: Examination, i: int, j: int) -> Judgement | None:
    """The worst agreement of the results of two steps, within both bounds."""
    found = [
        agreement(exam, i, j, n, f"{n} differs from step {j}'s")
        for n in (*exam.result(i).outputs, *exam.result(i).after)
    ]
    return max((f for f in found if f is not None), key=lambda f: f.ratio, default=None)


def is_part(step: Step) -> bool:
    """Whether the step's input is a part of the batch, named like "x[2:3]"."""
    return step.inputs[0].endswith("]")


def bits_of_part(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The rows of a part have the bits they have in the whole."""
    whole_name, _, rows = exam.step(i).inputs[0][:-1].partition("[")
    begin, end = (int(k) for k in rows.split(":"))
    j = earlier(exam, i, lambda j: exam.step(j).call == INFERENCE and exam.step(j).inputs == (whole_name,))
    if j is None or not same_state(exam, i, j) or not same_layer(exam, i, j):
        return None
    part, whole = exam.result(i).outputs["y"], np.ascontiguousarray(exam.result(j).outputs["y"][begin:end])
    return exam.bits(i, "equal_bits", "y", (whole, part), f"row {begin} has other bits alone than in the batch", j)


def zero_gamma(oracle: Oracle, step: Step) -> Mask:
    """Channels with gamma 0 and finite inputs, of more than one value."""
    case = oracle.case
    if "gamma" not in case.arrays or count_of(case, step) == 0:
        return np.zeros(case.config.channels, bool)
    return np.asarray(case.arrays["gamma"].astype(np.float64) == 0.0) & finite_channels(case, step.inputs)


def gives_beta(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y equals beta and dx equals 0, exactly, wherever the normalised value is finite beyond doubt."""
    ratios = exam.ratios(i, "y", "lenient")
    if ratios is None:
        return None
    y, config = exam.result(i).outputs["y"], exam.built(i).config
    beta = exam.built(i).arrays["beta"].astype(y.dtype).reshape(config.channel_shape)
    if y.shape != exam.case.arrays[exam.step(i).inputs[0]].shape:
        return None
    asked = exam.spread(channels, y.shape, i) & ~np.isnan(ratios)
    if not asked.any():
        return None
    wrong = asked & (y != beta)
    if wrong.any():
        index = first_index(wrong)
        numbers = np.broadcast_to(beta, y.shape)[index], y[index]
        message = f"y is {y[index]} where gamma is 0"
        return exam.broken(i, "equals", message, output="y", index=index, numbers=numbers)
    dx = exam.result(i).outputs.get("dx")
    if dx is not None and (asked & (dx != 0)).any():
        index = first_index(asked & (dx != 0))
        message = f"dx is {dx[index]} where gamma is 0"
        return exam.broken(i, "zero", message, output="dx", index=index, numbers=(0.0, dx[index]))
    return KEPT


has_distinct_parameters = only_if(
    lambda case, step: case.config.affine and any(len(set(case.arrays[n].tolist())) > 1 for n in ("gamma", "beta"))
)
no_affine = only_if(lambda case, step: not case.config.affine)

CHECKS = (
    within("training.output", TRAINING_CALLS, ("y",)),
    within("training.output_is_stable", TRAINING_CALLS, ("y",), in_full_precision, "permissive"),
    Check("training.ignores_running_state", TRAINING_CALLS, ignores_running_state, everywhere),
    Check("training.finite", TRAINING_CALLS, finite_results, ordinary_size),
    Check("training.repeatable", TRAINING_CALLS, repeatable, everywhere, of_repeats=True),
    within("epsilon.inside_root_in_training", TRAINING_CALLS, ("y", "dx"), epsilon_counts_in_training),
    within("epsilon.inside_root_in_inference", INFERENCE_CALLS, ("y", "dx"), epsilon_counts_in_inference),
    within("epsilon.as_given", (*TRAINING_CALLS, *INFERENCE_CALLS), ("y",), small_epsilon_counts),
    within("epsilon.not_in_running_variance", TRAINING_CALLS, ("running_var",), epsilon_counts_in_training),
    within("affine.per_channel", (*TRAINING_CALLS, *INFERENCE_CALLS), ("y", "dx"), has_distinct_parameters),
    within("affine.absent_is_identity", (*TRAINING_CALLS, *INFERENCE_CALLS), ("y", "dx"), no_affine),
    Check(
        "affine.zero_gamma_gives_beta", (*TRAINING_CALLS, *INFERENCE_CALLS), gives_beta, zero_gamma, outputs=("y", "dx")
    ),
    within("inference.output", INFERENCE_CALLS, ("y",)),
    within("inference.value_is_independent_of_batch", (INFERENCE,), ("y",), only_if(lambda case, step: is_part(step))),
    Check(
        "inference.bits_are_independent_of_batch",
        (INFERENCE,),
        bits_of_part,
        only_if(lambda case, step: is_part(step)),
        declines=across_programs,
    ),
    Check("inference.repeatable", INFERENCE_CALLS, repeatable, everywhere, of_repeats=True),
)
