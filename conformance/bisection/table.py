"""The terminal: a bisection."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bnspec.conformance.bisection.bisect import Bisection
from bnspec.terminal.console import heading, indented, line, show, table

#: Characters of what a release says.
SAYS_AT_MOST = 160


def print_bisection(done: Bisection, console: Console) -> None:
    """Print the releases that were asked, what changed, and where it comes from."""
    listed = table(console, done.package, "asked as", "times", "answer", "", right=("times",))
    for p in sorted(done.found.probes, key=lambda p: p.index):
        says = p.answer.says or p.answer.reason
        listed.add_row(
            done.releases[p.index], p.purpose, str(p.answer.asked), p.answer.value or "none", says[:SAYS_AT_MOST]
        )
    show(console, listed)
    heading(console, done.sentence)
    if not done.found.monotonic:
        odd = ", ".join(f"{done.releases[p.index]} ({p.answer.value})" for p in done.found.contradictions)
        line(console, Text(f"These do not fit one change: {odd}. Search a narrower range.", "yellow"))
    if done.isolation is not None:
        indented(console, done.isolation.sentence)
        others = [str(c) for c in done.isolation.companions]
        if others:
            indented(console, f"with it changed: {', '.join(others)}")
