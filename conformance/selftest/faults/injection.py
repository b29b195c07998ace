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
        hit: whether it met what it was meant for; one that came too late, say, shows nothing, and is not counted as survived.
    """

    fault: str
    survived: bool
    lost: int
    seconds: float
    hit: bool = True


def print_injections(injections: Iterable[Injection]) -> int:
    """Print a row for each kind; returns how many were not survived. A kind of which none hit counts as one of them."""
    by_kind: dict[str, list[Injection]] = {}
    for one in injections:
        by_kind.setdefault(one.fault, []).append(one)
    console = terminal()
    columns = ("injected", "hit", "survived", "units lost", "delay, median s", "largest s")
    rows = table(console, "fault", *columns, right=columns)
    for fault, some in by_kind.items():
        delays = sorted(one.seconds for one in some)
        hits = sum(one.hit for one in some)
        numbers = len(some), hits, sum(one.survived and one.hit for one in some), sum(one.lost for one in some)
        rows.add_row(fault, *map(str, numbers), f"{delays[len(delays) // 2]:.2f}", f"{delays[-1]:.2f}")
    show(console, rows)
    every = [one for some in by_kind.values() for one in some]
    hits, survived = sum(one.hit for one in every), sum(one.hit and one.survived for one in every)
    idle = [fault for fault, some in by_kind.items() if not any(one.hit for one in some)]
    line(console, f"{len(by_kind)} kinds, {len(every)} injections, {hits} hit, {survived} survived")
    for fault in idle:
        line(console, f"{fault}: none hit, so that nothing is shown.")
    return sum(not one.survived for one in every) + len(idle)
