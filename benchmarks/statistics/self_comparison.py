"""A/A comparisons: raw samples of one code compared with itself, in replicate runs, and slowdowns injected into them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from bnspec.errors import UsageError
from bnspec.reports.statistics.paired import Paired, paired

#: The samples of each process of a contender, in nanoseconds; element r is of round r.
Processes = Sequence[np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class SelfComparison:
    """One comparison: the processes of baseline and candidate, in the order of the rounds.

    Attributes:
        cell: id of the backend and workload; family: id of the replicate run. Together they are unique.
    """

    cell: str
    family: str
    baseline: Processes
    candidate: Processes

    def slowed(self, ratio: float) -> SelfComparison:
        """The same samples with every one of the candidate multiplied by the ratio."""
        return dataclasses.replace(self, candidate=[samples * ratio for samples in self.candidate])

    def paired(self) -> Paired:
        """The comparison of the processes' medians."""
        return paired(medians_ns(self.baseline), medians_ns(self.candidate))


#: The comparisons of one replicate run by their cell.
Family = dict[str, SelfComparison]


def self_comparison(
    cell: str, family: str, baseline: Iterable[Sequence[float]], candidate: Iterable[Sequence[float]]
) -> SelfComparison:
    """A comparison of samples in any form: for each arm and process a sequence of nanoseconds."""
    arms = [[np.asarray(samples, dtype=float) for samples in arm] for arm in (baseline, candidate)]
    return SelfComparison(cell, family, *arms)


def medians_ns(processes: Processes) -> list[float]:
    """The median of each process."""
    return [float(np.median(samples)) for samples in processes]


def families_of(comparisons: Iterable[SelfComparison]) -> list[Family]:
    """The comparisons by family, in the order of their first appearance.

    Raises: UsageError: a cell comes twice in a family.
    """
    families: dict[str, Family] = {}
    for one in comparisons:
        cells = families.setdefault(one.family, {})
        if one.cell in cells:
            raise UsageError(
                f"{one.cell} comes twice in the replicate run {one.family}.",
                "the cells of a run are judged together, each once.",
                "give every replicate run an id of its own.",
            )
        cells[one.cell] = one
    return list(families.values())


def half_slowed(family: Family, number: int, ratio: float) -> tuple[Family, set[str]]:
    """The family with the slowdown in every other cell, and which cells these are; odd families slow the other half."""
    chosen = {cell for position, cell in enumerate(family) if (position + number) % 2 == 0}
    return {cell: one.slowed(ratio) if cell in chosen else one for cell, one in family.items()}, chosen
