"""The progress of a benchmark run."""

from __future__ import annotations

from typing import TextIO


class Progress:
    """One line that is rewritten on a terminal; elsewhere one line when a process starts and one when it ends."""

    def __init__(self, stream: TextIO | None, cells: int) -> None:
        self._stream, self._cells, self._begun = stream, cells, 0
        self._live = stream is not None and stream.isatty()

    def __call__(self, name: str, doing: str, cells: int = 0) -> None:
        """Show what a contender is doing; ``cells`` more have begun."""
        self._begun += cells
        if self._stream is None:
            return
        if self._live:
            done = f"{self._begun}/{self._cells} a round"
            self._stream.write(f"\r\x1b[K{f'{done}  {name}  {doing}':.118}")
        elif not cells:
            self._stream.write(f"{name}: {doing}\n")
        self._stream.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._live and self._stream is not None:
            self._stream.write("\r\x1b[K")
