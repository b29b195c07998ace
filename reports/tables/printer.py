"""Printing on a console with or without colours, lines and symbols."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bnspec.reports.run.vocabulary import Verdict
from bnspec.reports.summary.counts import MARKS, Mark

_STYLES = {"good": "green", "bad": "bold red", "broken": "bold magenta", "quiet": "dim"}


class Printer:
    """Knows the console's abilities: colour and lines on a terminal, symbols where the encoding has them."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.symbols = console.encoding.lower().startswith("utf")

    def heading(self, words: str) -> None:
        """A line of its own, with an empty one before."""
        self.line(Text())
        self.line(Text(words, "bold"))

    def line(self, text: Text) -> None:
        """One line; long ones wrap, and nothing in them is markup."""
        self.console.print(self.encodable(text), highlight=False, overflow="fold")

    def encodable(self, text: Text) -> Text:
        """The text with a "?" for each character that the console cannot show."""
        if self.symbols:
            return text
        plain = (
            text.plain.replace("µ", "u")
            .replace("×", "x")
            .replace("∞", "inf")
            .replace("±", "+-")
            .encode("ascii", "replace")
            .decode()
        )
        return Text(plain, text.style) if len(plain) != len(text.plain) else Text(plain, text.style, spans=text.spans)

    def table(self, *columns: str) -> Table:
        """An empty table; its first column never wraps."""
        lines = box.SIMPLE_HEAD if self.console.is_terminal and self.symbols else None
        table = Table(box=lines, pad_edge=False, show_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, no_wrap=True)
        table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
        return table

    def mark(self, verdict: Verdict, tail: str = "") -> Text:
        """A verdict's symbol and what follows it, in its colour."""
        return self.marked(MARKS[verdict], tail)

    def marked(self, mark: Mark, tail: str = "") -> Text:
        """A symbol and what follows it, in its colour."""
        symbol = mark.symbol if self.symbols else mark.ascii
        return self.encodable(Text(f"{symbol} {tail}".rstrip(), _STYLES[mark.style]))
