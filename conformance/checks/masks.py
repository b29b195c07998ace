"""Checks of the family mask: batches of which only some elements count."""

from __future__ import annotations

import numpy as np

from bnspec.conformance.checks.check import Check, Judge, everywhere, only_if, within
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.forward import same_layer, same_state
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.model.call import TRAINING_MASKED, TRAINING_MASKED_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.oracle.oracle import Oracle

MASKED = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)
STATE, GRADIENTS = ("running_mean", "running_var"), ("dx", "dgamma", "dbeta")


def padding_is_inert(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """With other values in the padding of an x that lies alike, y where the mask keeps and the state have the same bits, from the same state."""
    first = next(
        (
            j
            for j in range(i)
            if exam.step(j).call == exam.step(i).call
            and exam.step(j).inputs[-1:] == exam.step(i).inputs[-1:]
            and exam.result(j).status == "ok"
            and same_layer(exam, i, j)
            and same_state(exam, i, j)
        ),
        None,
    )
    if first is None or exam.step(first).inputs == exam.step(i).inputs:
        return None
    ours, theirs = (exam.case.arrays[exam.step(k).inputs[0]].strides for k in (i, first))
    if ours != theirs:
        return None  # sums may be taken in another order where x lies otherwise in memory
    mask = exam.case.arrays[exam.step(i).inputs[-1]].astype(bool)
    pairs = [(n, exam.got(i, n), exam.got(first, n)) for n in ("y", *STATE)]
    for name, got, base in pairs:
        if got is None or base is None or got.shape != base.shape:
            continue
        if name == "y":  # where the mask leaves out, nothing is said of it
            axis = exam.built(i).config.channel_axis
            got, base = got.copy(), base.copy()
            for array in (got, base):
                array[~mask.repeat(got.shape[axis], axis)] = 0
        message = f"{name} differs from step {first}'s, with other padding"
        found = exam.bits(i, "equal_bits", name, (base, got), message, first)
        if not found.holds:
            return found
    return KEPT


def of_the_kept(outputs: tuple[str, ...]) -> Judge:
    """The judge of these outputs: they are those of the batch without padding, and dx is 0 on the padding.

    Where dy is not 0 on the padding, gradients are asked of a layer whose y is 0 there: a y that is computed from its padding has
    a derivative there, which reaches every gradient, in good order.
    """

    def judge(exam: Examination, i: int, channels: Mask) -> Judgement | None:
        names = outputs
        if exam.step(i).call == TRAINING_MASKED_GRADIENTS:
            x, dy = (exam.case.arrays[n] for n in exam.step(i).inputs[:2])
            padding = ~np.broadcast_to(exam.case.arrays[exam.step(i).inputs[-1]].astype(bool), x.shape)
            if dy[padding].any() and not sets_padding_to_zero(exam, i, padding):
                names = tuple(n for n in outputs if n not in GRADIENTS)
        return exam.within(i, names, "lenient", None if channels.all() else channels)

    return judge


def sets_padding_to_zero(exam: Examination, i: int, padding: np.ndarray) -> bool:
    """Whether y is 0 on the padding, where beta would show."""
    y, built = exam.got(i, "y"), exam.built(i)
    if y is None or y.shape != padding.shape or not built.config.affine:
        return False
    return bool(built.arrays["beta"].any()) and not y[padding].any()


def is_broadcast(case: Case, step: Step) -> bool:
    """Whether several elements stand behind one entry of the mask's shape without its last axes of extent 1."""
    return case.config.rank > 2


def is_finite(case: Case, step: Step) -> bool:
    """Whether x is finite on the padding as well."""
    return bool(np.isfinite(case.arrays[step.inputs[0]].astype(np.float64)).all())


def finite_factors(oracle: Oracle, step: Step) -> Mask:
    """The channels whose gamma and dy are finite: 0 times a factor that is not is NaN, so a product with the mask is no defect there."""
    case, axes = oracle.case, oracle.case.config.reduce_axes
    finite = everywhere(oracle, step)
    if len(step.inputs) > 2:
        finite = finite & np.isfinite(case.arrays[step.inputs[1]].astype(np.float64)).all(axis=axes)
    return finite & np.isfinite(case.arrays["gamma"].astype(np.float64)) if case.config.affine else finite


def both_finite(oracle: Oracle, step: Step) -> Mask:
    """The channels whose factors are finite, where x is."""
    return finite_padding(oracle, step) & finite_factors(oracle, step)


def stray_padding(oracle: Oracle, step: Step) -> Mask:
    """The channels whose factors are finite, and x where the mask keeps, where x is not finite on the padding."""
    x, mask = (oracle.case.arrays[n] for n in (step.inputs[0], step.inputs[-1]))
    kept = (np.isfinite(x.astype(np.float64)) | ~mask.astype(bool)).all(axis=oracle.case.config.reduce_axes)
    return np.asarray(~finite_padding(oracle, step) & finite_factors(oracle, step) & kept)


finite_padding = only_if(is_finite)

CHECKS = (
    within("mask.equals_compaction", MASKED, ("y", *STATE), finite_padding),
    Check("mask.padding_is_inert", MASKED, padding_is_inert, finite_padding),
    within(
        "mask.counts_elements",
        MASKED,
        STATE,
        only_if(lambda case, step: is_broadcast(case, step) and is_finite(case, step)),
    ),
    Check("mask.gradients", (TRAINING_MASKED_GRADIENTS,), of_the_kept(GRADIENTS), both_finite),
    Check("mask.padding_may_be_anything", MASKED, of_the_kept(("y", *STATE, *GRADIENTS)), stray_padding),
)
