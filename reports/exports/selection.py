"""Which cells of a run go into a format that knows only times, how they are called there, and what is left out.

a cell without samples                   is left out: such a format has no word for "declined" or "crashed"
a cell whose outputs are not all right   is left out: a time without a right answer is no time
                                         unless it is asked for; then its name ends in the verdict
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

from bnspec.errors import UsageError
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import TimingVerdict
from bnspec.reports.summary.bandwidth import Ceiling
from bnspec.reports.summary.cells import Cell, cells

#: The only verdict with which a time goes out as it is.
RIGHT: TimingVerdict = "conforms"


@dataclasses.dataclass(frozen=True)
class Selection:
    """The cells that are exported, and those that are not.

    Attributes:
        taken: those that are exported; each has samples.
        untimed: how many have no samples, by verdict; unverified: how many have samples and outputs that are not right.
    """

    taken: tuple[Cell, ...]
    untimed: Mapping[TimingVerdict, int]
    unverified: Mapping[TimingVerdict, int]

    @property
    def left_out(self) -> dict[str, int]:
        """How many cells are not exported, by verdict."""
        return dict(Counter(self.untimed) + Counter(self.unverified))

    @property
    def notes(self) -> list[str]:
        """What is left out, in sentences for a person."""
        found = []
        if self.untimed:
            found.append(f"{_count(self.untimed, 'has', 'have')} no samples: {_listed(self.untimed)}")
        if self.unverified:
            count = _count(self.unverified, "is", "are")
            found.append(f"{count} left out, the outputs are not right: {_listed(self.unverified)} (see --unverified)")
        return found


def cells_of(run: Run) -> list[Cell]:
    """Every cell of the run, with its roof. Raises UsageError: nothing was timed in the run."""
    if not run.timings:
        raise UsageError(
            f"{run.path} has no timings.",
            f"it was made by {run.manifest.command!r}, and its records hold none."
            if run.manifest.command
            else "its records hold none.",
            "name a run of bnspec bench.",
        )
    return cells(run.timings, Ceiling(run.roofs))


def select(run: Run, unverified: bool = False) -> Selection:
    """The cells of a run that a format of times takes.

    Args:
        unverified: take those with samples whatever their verdict.
    Raises UsageError: the run has no timings.
    """
    listed = cells_of(run)
    wrong = [c for c in listed if c.timed and c.verdict != RIGHT and not unverified]
    untimed = Counter(c.verdict for c in listed if not c.timed)
    taken = tuple(c for c in listed if c.timed and (unverified or c.verdict == RIGHT))
    return Selection(taken, untimed, Counter(c.verdict for c in wrong))


def name(cell: Cell) -> str:
    """How a cell is called, the same in every run: ``training-4096x64-axis1-float32/torch.nn@cpu``.

    The verdict follows in brackets where it is not "conforms": such a time never takes the name of a right one.
    """
    plain = f"{cell.workload}/{cell.contender}"
    return plain if cell.verdict == RIGHT else f"{plain} ({cell.verdict})"


def _count(verdicts: Mapping[TimingVerdict, int], one: str, several: str) -> str:
    number = sum(verdicts.values())
    return f"1 cell {one}" if number == 1 else f"{number} cells {several}"


def _listed(verdicts: Mapping[TimingVerdict, int]) -> str:
    return ", ".join(f"{verdict} {verdicts[verdict]}" for verdict in sorted(verdicts))
