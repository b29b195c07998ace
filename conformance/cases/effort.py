"""Effort levels of a run: its cases, and its time for shrinking."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hypothesis import strategies as st

from bnspec.conformance.cases.catalogue import catalogue, large_cases
from bnspec.conformance.cases.corpus import built_in, distinct
from bnspec.conformance.cases.forms import EVERYWHERE
from bnspec.conformance.cases.histories import draw_histories
from bnspec.conformance.cases.networks import KINDS, network_case
from bnspec.conformance.cases.strategies import cases, draw, input_cases, optional_call_cases, settings
from bnspec.model.case import Case

EffortName = Literal["device", "quick", "standard", "thorough"]


@dataclass(frozen=True)
class Effort:
    """An amount of work.

    Attributes:
        pool: number of settings for batch-normalization cases (frameworks compile for each); known: of which so many have forms that
            the catalogue has compiled already. The optional calls are drawn from these first.
        drawn, scaling: numbers of drawn batch-normalization and input-normalization cases.
        optional_calls: of drawn relations, derivatives, masks and long trainings; histories: of drawn layer histories.
        shrink_seconds: time limit for each deviating clause of each target.
        cause_seconds: time limit for the experiments behind the causes of each target.
        large: whether there are the large cases, too.
        covers: whether only as many of the cases are taken as it takes to ask every clause a few times.
    """

    pool: int
    known: int
    drawn: int
    scaling: int
    optional_calls: int
    histories: int
    shrink_seconds: float
    cause_seconds: float
    large: bool = False
    covers: bool = False


QUICK = Effort(4, 2, 48, 4, 14, 24, 1.5, 5.0)
EFFORTS: dict[EffortName, Effort] = {
    "device": replace(QUICK, covers=True),
    "quick": QUICK,
    "standard": Effort(60, 2, 600, 60, 80, 150, 5.0, 20.0, large=True),
    "thorough": Effort(120, 2, 1000, 120, 150, 300, 20.0, 60.0, large=True),
}
#: Streams of a run's seed, so that no two generators draw the same numbers.
SETTINGS, BATCH, SCALING, OPTIONAL_CALLS, HISTORIES, KNOWN = 0, 1, 2, 3, 4, 5
#: The fraction of the pool's settings (1 in so many) used for optional calls, and the least number: each compiles many calls.
OPTIONAL_CALLS_SHARE, OPTIONAL_CALLS_LEAST = 6, 2


@functools.cache
def fixed_cases() -> tuple[Case, ...]:
    """The suite's regression corpus and the catalogue: the cases of every seed."""
    return tuple(distinct([*built_in(), *catalogue()]))


def cases_of(
    effort: EffortName, seed: int, minutes: float | None = None, corpus: Sequence[Case] = ()
) -> Iterator[Case]:
    """The regression corpus, the catalogue, then drawn cases.

    "thorough" keeps drawing, over new settings, until the minutes are over. ``corpus``: a user's cases beyond the suite's own.
    """
    yield from distinct([*built_in(), *corpus, *fixed_cases()])
    if EFFORTS[effort].large:
        yield from large_cases()
    started, amount, wave = time.monotonic(), EFFORTS[effort], 0
    while True:
        stream = 1000 * seed + 10 * wave
        pool = draw(settings(st.sampled_from(EVERYWHERE)), amount.known, stream + KNOWN)
        pool += draw(settings(), amount.pool - amount.known, stream + SETTINGS)
        yield from draw(cases(pool), amount.drawn, stream + BATCH)
        yield from draw(input_cases(), amount.scaling, stream + SCALING)
        yield from draw(
            optional_call_cases(pool[: max(OPTIONAL_CALLS_LEAST, amount.pool // OPTIONAL_CALLS_SHARE)]),
            amount.optional_calls,
            stream + OPTIONAL_CALLS,
        )
        yield from (network_case(kind, stream + wave) for kind in KINDS)
        yield from draw_histories(amount.histories, stream + HISTORIES)
        wave += 1
        if effort != "thorough" or minutes is None or time.monotonic() - started > 60.0 * minutes:
            return
