"""The amount of work by effort: points, forms, dtypes and thread counts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bnspec.conformance.stability.data import FORMS, Form, Spot
from bnspec.model.conventions import HALVES
from bnspec.model.precision import PRECISIONS

DTYPES = ("float32", "float64", "bfloat16", "float16")


@dataclass(frozen=True)
class Effort:
    """An amount of work.

    Attributes:
        seeds: cases per point; each has several channels.
        fine: whether steps are finer around the kappas where the classes lose half of their digits.
        counts: exponents of two of the counts; largest: the last of them for dtypes other than float32, whose sums differ least.
        forms: of x; dtypes: the default ones.
        threads: thread counts; 0 leaves the count to the environment.
    """

    seeds: int
    fine: bool
    counts: tuple[int, ...]
    largest: int
    forms: tuple[Form, ...]
    dtypes: tuple[str, ...] = DTYPES
    threads: tuple[int, ...] = (0,)


def efforts() -> dict[str, Effort]:
    """By name; the full matrix asks for one thread and for as many as there are cores."""
    cores = os.cpu_count() or 1
    counts = tuple(range(1, 21, 2)) + (20,)
    return {
        "quick": Effort(3, False, tuple(range(1, 15, 2)), 13, FORMS[:1], ("float32", "float64")),
        "default": Effort(3, True, counts, 15, FORMS[:1]),
        "standard": Effort(4, True, counts, 17, FORMS, threads=tuple(sorted({1, cores}))),
    }


def kappas_of(dtype: str, fine: bool) -> list[float]:
    """Half-decade steps; if fine, quarters from u^(-1/4) / 10 to 10 u^(-1/2) (in half precision eighths, up to 1/u)."""
    step = 8 if dtype in HALVES else 4
    u = PRECISIONS[dtype].unit_roundoff
    top = 1.0 / u if dtype in HALVES else 10.0 * u**-0.5
    exponents = {k / 2.0 for k in range(17)}
    if fine:
        exponents |= {k / step for k in range(8 * step + 1) if 0.1 * u**-0.25 <= 10.0 ** (k / step) <= top}
    return [10.0**e for e in sorted(exponents)]


def spots(
    effort: Effort, dtypes: Sequence[str], parameter_dtypes: Mapping[str, Sequence[str]], seed: int
) -> Iterator[Spot]:
    """Every point of both sweeps, form by form and dtype by dtype, in ascending order.

    Args:
        parameter_dtypes: for each dtype those of the parameters that some backend takes.
        seed: seeds of the cases follow from it.
    """
    for form in effort.forms:
        for dtype in dtypes:
            last = effort.counts[-1] if dtype == "float32" else effort.largest
            counts = [float(2**k) for k in effort.counts if k <= last]
            for parameter_dtype in parameter_dtypes[dtype]:
                for sweep, places in (("kappa", kappas_of(dtype, effort.fine)), ("count", counts)):
                    for asked in places:
                        for k in range(effort.seeds):
                            yield Spot(sweep, asked, form, dtype, parameter_dtype, 1000 * seed + k)
