"""The consoles, and the one place that prints on them: text of a run never reaches a terminal as markup or control characters."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Collection
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bnspec.printable import clean

#: The width where there is no terminal, unless COLUMNS says otherwise.
WIDTH = 100
_ASCII = {"µ": "u", "×": "x", "∞": "inf", "±": "+-"}


def terminal(stderr: bool = False) -> Console:
    """A console for standard output or standard error: as wide as the terminal; elsewhere 100 wide and without colour.

    NO_COLOR and COLUMNS are respected.
    """
    console = _Console(stderr=stderr)
    if console.is_terminal:
        return console
    width = None if os.environ.get("COLUMNS", "").isdecimal() else WIDTH
    return _Console(stderr=stderr, width=width, color_system=None)


class _Console(Console):
    """rich's own ends the process with status 1 where nobody reads its output; here 1 means deviations."""

    def on_broken_pipe(self) -> None:
        """Raises BrokenPipeError."""
        raise BrokenPipeError


def on_a_terminal() -> bool:
    """Whether standard error is a terminal, whatever FORCE_COLOR says: colours may go into a file, bars may not."""
    return sys.stderr.isatty()


def has_symbols(console: Console) -> bool:
    """Whether the console's encoding has more than ASCII."""
    return console.encoding.lower().startswith("utf")


def encodable(console: Console, text: str | Text) -> Text:
    """The text without control characters, and with a "?" for each character that the console cannot show."""
    styled = Text(clean(text)) if isinstance(text, str) else text
    plain = clean(styled.plain)
    if not has_symbols(console):
        for symbol, twin in _ASCII.items():
            plain = plain.replace(symbol, twin)
        plain = plain.encode("ascii", "replace").decode()
    if plain == styled.plain:
        return styled
    # a twin of another length moves what follows it: then only the style of the whole is kept
    spans = styled.spans if len(plain) == len(styled.plain) else []
    return Text(plain, styled.style, justify=styled.justify, spans=spans)


def line(console: Console, text: str | Text = "", style: str = "") -> None:
    """Print one line; a long one wraps."""
    text = Text(clean(text), style) if isinstance(text, str) else text
    console.print(encodable(console, text), highlight=False, overflow="fold")


def heading(console: Console, words: str) -> None:
    """Print a line in bold, with an empty one before it."""
    line(console)
    line(console, words, "bold")


def verbatim(console: Console, text: str) -> None:
    """Print text that is not wrapped: a path to copy, a line to search for."""
    console.print(encodable(console, text), highlight=False, soft_wrap=True)


def indented(console: Console, text: str, width: int | None = None) -> None:
    """Print a paragraph whose lines, from the second on, are indented by two more columns than the first."""
    text = clean(text)
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    lines = textwrap.wrap(text, width or console.width, subsequent_indent=indent, break_on_hyphens=False)
    verbatim(console, "\n".join(lines))


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")


class _Cells(Table):
    """A table whose cells are plain text that its console can show."""

    def __init__(self, console: Console, **options: Any) -> None:
        super().__init__(**options)
        self._for = console

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row of strings and Texts."""
        super().add_row(*(encodable(self._for, c) if isinstance(c, (str, Text)) else c for c in cells), **options)


def table(console: Console, *columns: str, right: Collection[str] = (), title: str = "") -> Table:
    """An empty table for ``show``: a rule below the header on a terminal, aligned lines elsewhere.

    Where the width is short the widest columns fold; no cell is cut off. ``right`` names the columns of numbers.
    """
    rule = box.SIMPLE_HEAD if console.is_terminal and has_symbols(console) else None
    made = _Cells(console, box=rule, pad_edge=False, show_edge=False, header_style="bold", show_header=any(columns))
    if title:
        made.title, made.title_justify, made.title_style = encodable(console, title), "left", "bold"
    for name in columns:
        made.add_column(encodable(console, name), overflow="fold", justify="right" if name in right else "left")
    return made


def show(console: Console, made: Table) -> None:
    """Print a table; where there is no terminal, without blanks at the end of lines."""
    if console.is_terminal:
        console.print(made)
        return
    with console.capture() as captured:
        console.print(made)
    for row in captured.get().splitlines():
        console.out(row.rstrip(), highlight=False)
