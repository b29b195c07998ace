"""The terminal: deviations, each with what is known of it and its smallest case."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from bnspec.reports.run.evidence import known_sentence
from bnspec.reports.run.records import Finding, ratio_text, target_name
from bnspec.reports.summary.excerpt import excerpt
from bnspec.reports.tables.marks import LEVEL_STYLES
from bnspec.reports.tables.more import print_more
from bnspec.terminal.console import heading, line


def print_findings(findings: Sequence[Finding], console: Console, most: int | None = None, call: str = "") -> None:
    """Print how many there are and each of them; of more than ``most`` the first, and the call that lists all."""
    heading(console, f"{len(findings):,} deviation{'s' * (len(findings) != 1)}")
    part = excerpt(findings, len(findings) if most is None else most)
    for finding in part.shown:
        print_finding(finding, console)
    print_more(part.more, "deviations", call, console)


def print_finding(finding: Finding, console: Console) -> None:
    """A deviation: level, clause, target, ratio and cases; then message, known deviations and case, indented."""
    f = finding
    text = Text(f"{f.level:<6} ", LEVEL_STYLES[f.level]).append(f.clause, "bold")
    known = "  (known)" if f.known else ""
    ratio = f.ratio if f.evidence is None or f.evidence.ratio is None else f.evidence.ratio
    text.append(f"  {target_name(f)}  ratio {ratio_text(ratio)}  {f.failures} of {f.cases} cases{known}")
    line(console, text)
    for detail in (f.message, *map(known_sentence, f.known), f.shrunk or f.case or ""):
        if detail:
            line(console, Text(f"       {detail}", "dim"))
