"""How much a run does: which cases, and how long it may shrink."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from bnspec.case import Case
from bnspec.conformance.catalogue import catalogue
from bnspec.conformance.strategies import cases, draw, input_cases, settings


@dataclass(frozen=True)
class Effort:
    """An amount of work.

    Attributes:
        pool: number of settings that batch-normalization cases are drawn over (frameworks compile for each).
        drawn, scaling: numbers of drawn batch-normalization and input-normalization cases.
        shrink_seconds: for each deviating clause of each target.
    """

    pool: int
    drawn: int
    scaling: int
    shrink_seconds: float


EFFORTS = {
    "quick": Effort(16, 64, 12, 1.5),
    "standard": Effort(60, 600, 60, 5.0),
    "thorough": Effort(120, 1000, 120, 20.0),
}
#: Streams of a run's seed: no two generators draw the same numbers.
SETTINGS, BATCH, SCALING = 0, 1, 2


def cases_of(effort: str, seed: int, minutes: float | None = None) -> Iterator[Case]:
    """The catalogue, then drawn cases; "thorough" goes on drawing, over new settings, until the minutes are over."""
    yield from catalogue()
    started, amount, wave = time.monotonic(), EFFORTS[effort], 0
    while True:
        stream = 1000 * seed + 10 * wave
        pool = draw(settings(), amount.pool, stream + SETTINGS)
        yield from draw(cases(pool), amount.drawn, stream + BATCH)
        yield from draw(input_cases(), amount.scaling, stream + SCALING)
        wave += 1
        if effort != "thorough" or minutes is None or time.monotonic() - started > 60.0 * minutes:
            return
