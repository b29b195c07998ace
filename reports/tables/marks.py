"""Verdicts on a console: a symbol and a colour, where the console has them."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bnspec.reports.run.vocabulary import TimingVerdict, Verdict
from bnspec.reports.summary.counts import MARKS, Mark
from bnspec.terminal.console import encodable, has_symbols

_STYLES = {"good": "green", "bad": "bold red", "broken": "bold magenta", "quiet": "dim"}
#: The colours of levels.
LEVEL_STYLES = {"MUST": "bold red", "SHOULD": "yellow", "MAY": "cyan"}


def mark(console: Console, verdict: Verdict | TimingVerdict, tail: str = "") -> Text:
    """A verdict's symbol and what follows it, in its colour."""
    return marked(console, MARKS[verdict], tail)


def marked(console: Console, of: Mark, tail: str = "") -> Text:
    """A symbol and what follows it, in its colour."""
    symbol = of.symbol if has_symbols(console) else of.ascii
    return encodable(console, Text(f"{symbol} {tail}".rstrip(), _STYLES[of.style]))
