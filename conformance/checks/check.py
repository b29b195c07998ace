"""What a check is: a clause, the steps it reads, and how it judges one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS, Call
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import Tier
from bnspec.oracle.oracle import Oracle

#: The channels of a step that a clause speaks of; none: the clause is not asked there.
Domain = Callable[[Oracle, Step], Mask]
Judge = Callable[[Examination, int, Mask], Judgement | None]

TRAINING_CALLS = (TRAINING, TRAINING_GRADIENTS)
INFERENCE_CALLS = (INFERENCE, INFERENCE_GRADIENTS)


def never(exam: Examination, i: int) -> str:
    """No conventions leave a step without anything to judge."""
    return ""


@dataclass(frozen=True, eq=False)
class Check:
    """How a clause is verified.

    Attributes:
        clause: its id.
        calls: the calls whose steps it reads.
        domain: which channels of a step it speaks of, from the case alone.
        judge: the judgement of a step that ended "ok"; None when nothing there can be judged.
        reads_errors: whether steps that raised are judged, too.
        of_shared: whether it is asked of cases whose parameters share memory with the state; other checks are not.
        of_refused: whether it is asked of calls that are malformed on purpose, or, None, of these as of others.
        of_repeats: whether it is asked of steps that only repeat another.
        of_integers: whether it is asked of steps on x of an integer dtype; other checks are not.
        outputs: the results that it speaks of; (): all.
        of_missing: whether it is asked of fits on training sets with missing values; other checks are not.
        declines: why the declared conventions leave nothing to judge at a step; empty where they do not.
    """

    clause: str
    calls: tuple[Call, ...]
    judge: Judge
    domain: Domain
    reads_errors: bool = False
    of_shared: bool = False
    of_refused: bool | None = False
    declines: Callable[[Examination, int], str] = never
    of_repeats: bool = False
    of_integers: bool = False
    of_missing: bool = False
    outputs: tuple[str, ...] = ()


def across_programs(exam: Examination, i: int) -> str:
    """Why bits of two programs are not compared."""
    return "each call and each shape is a program of its own on this device" if exam.conventions.programs_apart else ""


@functools.cache
def all_or_none(channels: int, value: bool) -> Mask:
    """The mask of all channels, or of none: one read-only array for each number of channels, since most domains are one of them."""
    mask = np.full(channels, value)
    mask.flags.writeable = False
    return mask


def everywhere(oracle: Oracle, step: Step) -> Mask:
    """All channels."""
    return all_or_none(oracle.case.config.channels, True)


def only_if(predicate: Callable[[Case, Step], bool]) -> Domain:
    """All channels of the steps for which the predicate holds."""

    def domain(oracle: Oracle, step: Step) -> Mask:
        return all_or_none(oracle.case.config.channels, bool(predicate(oracle.case, step)))

    return domain


def within(
    clause: str, calls: tuple[Call, ...], outputs: tuple[str, ...], domain: Domain = everywhere, tier: Tier = "lenient"
) -> Check:
    """The check that these outputs of these calls stay within their bounds, on the domain."""

    def judge(exam: Examination, i: int, channels: Mask) -> Judgement | None:
        return exam.within(i, outputs, tier, None if channels.all() else channels)

    return Check(clause, calls, judge, domain, outputs=outputs)


def earlier(exam: Examination, i: int, like: Callable[[int], bool]) -> int | None:
    """The first step before i that ended ok and for which ``like`` holds."""
    return next((j for j in range(i) if exam.result(j).status == "ok" and like(j)), None)


def squares_overflow(oracle: Oracle, step: Step) -> Mask:
    """Channels of which the square of some deviation leaves the range of x's dtype."""
    batch = oracle.batch(step.inputs[0], oracle.case.config.epsilon)
    with np.errstate(all="ignore"):
        beyond = (np.square(batch.spread) > PRECISIONS[oracle.case.config.dtype].largest).reshape(-1)
    return np.asarray(beyond)


def in_full_precision(oracle: Oracle, step: Step) -> Mask:
    """Stability is asked in float32 and float64, where squares fit; how exact half precision is, is a clause of its own."""
    if oracle.case.config.dtype in HALVES:
        return all_or_none(oracle.case.config.channels, False)
    if count_of(oracle.case, step) == 0:
        return everywhere(oracle, step)
    return ~squares_overflow(oracle, step)


def keeps_nothing(case: Case, step: Step) -> bool:
    """Whether the step's mask keeps no element."""
    return step.call.has_mask and not case.arrays[step.inputs[-1]].any()


def count_of(case: Case, step: Step) -> int:
    """Elements per channel of the step's first input; 0 where it takes none."""
    if not step.inputs:
        return 0
    return case.arrays[step.inputs[0]].size // max(case.config.channels, 1)
