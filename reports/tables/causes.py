"""The terminal: causes, and the clauses that show each."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bnspec.reports.run.causes import Cause
from bnspec.reports.run.evidence import known_sentence
from bnspec.reports.run.store import Run
from bnspec.reports.summary.causes import by_target, count_sentence, counted, needs
from bnspec.reports.summary.excerpt import shares
from bnspec.reports.tables.marks import LEVEL_STYLES
from bnspec.reports.tables.more import print_more
from bnspec.terminal.console import heading, line, show, table


def print_causes(run: Run, console: Console, most: int | None = None, call: str = "") -> None:
    """Print the causes of each target, the most ordinary first; of more than ``most`` the first, and the call that lists all."""
    found = by_target(run)
    hidden = 0
    for target, part in shares(found, sum(map(len, found.values())) if most is None else most).items():
        causes = part.shown
        hidden += part.more
        if not causes:
            continue
        heading(console, f"{target}: {count_sentence(found[target])}")
        for cause in causes:
            _print(cause, console)
        cut = next((c.cut for c in causes if c.cut), "")
        if cut:
            line(console, Text(f"       experiments on {target} {cut}: conditions may be missing", "dim"))
    print_more(hidden, "causes", call, console)


def _print(cause: Cause, console: Console) -> None:
    """One cause: its clause, what it needs, what is known of it, and the clauses that show the same error."""
    known = "  (known)" if cause.known else ""
    line(console, Text(f"{cause.level:<6} ", LEVEL_STYLES[cause.level]).append(cause.clause, "bold").append(known))
    also = f"also seen in {', '.join(cause.also)}" if cause.also else ""
    for detail in (needs(cause), cause.message, *map(known_sentence, cause.known), also, cause.case or ""):
        if detail:
            line(console, Text(f"       {detail}", "dim"))


def print_counts(run: Run, console: Console) -> None:
    """Print how many clauses deviate and how many causes are behind them, a row for each target."""
    listed = table(console, "target", "clauses", "causes", "known", "MUST", "SHOULD", "MAY", right=_NUMBERS)
    for target, causes in by_target(run).items():
        row = counted(target, causes)
        levels = (str(row.levels.get(level, 0)) for level in ("MUST", "SHOULD", "MAY"))
        listed.add_row(target, str(row.clauses), str(row.causes), str(row.known), *levels)
    show(console, listed)


_NUMBERS = ("clauses", "causes", "known", "MUST", "SHOULD", "MAY")
