"""One injected fault, and the table of all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bnspec.terminal.console import line, show, table, terminal


@dataclass(frozen=True)
class Injection:
    """A fault that was injected.

    Attributes:
        fault: its kind; survived: whether the verdicts, the bits or the records are right, and nothing is left over.
        lost: units of work that were lost or done twice, beyond the one in flight; seconds: the delay.
    """

    fault: str
    survived: bool
    lost: int
    seconds: float


def print_injections(injections: Iterable[Injection]) -> int:
    """Print a row for each kind; returns how many were not survived."""
    by_kind: dict[str, list[Injection]] = {}
    for one in injections:
        by_kind.setdefault(one.fault, []).append(one)
    console = terminal()
    columns = ("injected", "survived", "units lost", "delay, median s", "largest s")
    rows = table(console, "fault", *columns, right=columns)
    for fault, some in by_kind.items():
        delays = sorted(one.seconds for one in some)
        numbers = len(some), sum(one.survived for one in some), sum(one.lost for one in some)
        rows.add_row(fault, *map(str, numbers), f"{delays[len(delays) // 2]:.2f}", f"{delays[-1]:.2f}")
    show(console, rows)
    every = [one for some in by_kind.values() for one in some]
    failed = sum(not one.survived for one in every)
    line(console, f"{len(by_kind)} kinds, {len(every)} injections, {len(every) - failed} survived")
    return failed
