"""The terminal: that there is more than is shown, and the call that lists it."""

from __future__ import annotations

from rich.console import Console

from bnspec.terminal.console import verbatim


def print_more(count: int, what: str, call: str, console: Console) -> None:
    """One line, where there is more."""
    if count:
        verbatim(console, f"and {count:,} more {what}: {call}")
