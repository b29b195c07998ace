"""An environment that cannot be had: a reason, as any other target that does not open has one."""

from __future__ import annotations

from collections.abc import Sequence

#: Lines of an installer's that are quoted, and characters of each.
LINES, CHARACTERS = 6, 300


class NotBuilt(Exception):
    """The environment cannot be had; ``reason`` says why.

    ``unsolvable``: no choice of releases satisfies the requirements on this Python; on another one it may.
    """

    def __init__(self, reason: str, unsolvable: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.unsolvable = reason, unsolvable


def last_lines(output: str) -> str:
    """The last lines that an installer printed, as one: what it says at the end is what went wrong."""
    lines = [" ".join(line.split())[:CHARACTERS] for line in output.splitlines() if line.strip()]
    return " | ".join(lines[-LINES:])


def named(names: Sequence[str]) -> str:
    """Names in a sentence; "none"."""
    return ", ".join(names) or "none"
