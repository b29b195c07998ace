"""The terminal: a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from bnspec.reports.compare import words
from bnspec.reports.compare.comparison import Comparison, TargetComparison
from bnspec.reports.compare.policy import Policy, idle, regressions
from bnspec.reports.tables.marks import LEVEL_STYLES
from bnspec.terminal.console import heading, indented, line, show, table

_STYLES = {"worse": "bold red", "better": "green", "other": "cyan", "machine": "dim", "noise": "dim"}


def print_comparison(comparison: Comparison, policies: Sequence[Policy], console: Console) -> None:
    """Print what changed on each pair of targets, what that rests on, and what fails."""
    for note in comparison.notes:
        line(console, note, "yellow")
    if len(comparison.pairs) > 1:
        listed = table(console, "target", "what changed")
        for p in comparison.pairs:
            listed.add_row(p.pair.title, p.sentence)
        show(console, listed)
    for p in comparison.pairs:
        _print_pair(p, console)
    for when, names in (("before", comparison.only_before), ("after", comparison.only_after)):
        if names:
            line(console)
            indented(console, f"only {when}: {', '.join(names)}")
    line(console)
    line(console, verdict(comparison, policies), "bold")


def _print_pair(p: TargetComparison, console: Console) -> None:
    heading(console, f"{p.pair.title}: {p.sentence}")
    for change in p.changes:
        mark = words.mark(change)
        text = Text(f"{mark:<8}", _STYLES[mark])
        if change.level:
            text.append(f"{change.level} ", LEVEL_STYLES[change.level])
        text.append(words.what(change).removeprefix(f"{change.level} "), "bold")
        text.append(
            f"  {words.before(change)} → {words.after(change)}" if change.before else f"  {words.after(change)}"
        )
        line(console, text)
        for detail in words.details(change):
            line(console, Text(f"        {detail}", "dim"))
    for c in p.coverage:
        line(console, Text(words.coverage(c), "dim"))
    for e in p.excluded:
        line(console, Text(words.excluded(e), "dim"))


def verdict(comparison: Comparison, policies: Sequence[Policy]) -> str:
    """What the policies say, in one sentence."""
    failed, without = regressions(comparison, policies), idle(comparison, policies)
    said = ", ".join(map(str, policies))
    if failed:
        return f"{len(failed)} regression{'s' * (len(failed) > 1)} by --fail-on {said}"
    if without:
        return f"nothing was compared that --fail-on {', '.join(map(str, without))} speaks of"
    return f"no regression by --fail-on {said}"
