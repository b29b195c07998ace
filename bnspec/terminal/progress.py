"""The progress of a run, on standard error: a bar for each part on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from bnspec.printable import clean
from bnspec.terminal.console import encodable, on_a_terminal, terminal, verbatim

#: Seconds between two plain lines, and between two drawings of the bars.
PLAIN, DRAWN = 30.0, 0.1


class _Count(bars.ProgressColumn):
    """Done of the total, as far as they are known."""

    def render(self, task: bars.Task) -> Text:
        """The text of one part."""
        total = "" if task.total is None else f"/{task.total:.0f}"
        return Text(f"{task.completed:.0f}{total}" if task.completed or total else "")


class Progress:
    """The parts of a run (targets, contenders) and what each is doing; parts may report from several threads.

    On a terminal each part is a line with a bar, redrawn when something is reported and never by a thread of its own, which
    would disturb what is timed. Elsewhere a part is one line when it starts and one when it ends, and in between the run prints
    at most one every 30 seconds.

        with Progress() as progress:
            progress.update("torch.nn@cpu", "opening")
            progress.update("torch.nn@cpu", "running", done=12, total=200)
            progress.end("torch.nn@cpu", "done, 200 cases")

    Args:
        quiet: print nothing.
        console: where to print; default: standard error.
        clock: seconds that only grow.
    """

    def __init__(
        self, quiet: bool = False, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = None if quiet else console or terminal(stderr=True)
        self._clock, self._lock = clock, threading.Lock()
        self._last = clock()
        self._parts: dict[str, bars.TaskID] = {}
        self._bars: bars.Progress | None = None
        live = console is not None or on_a_terminal()
        if live and self._console is not None and self._console.is_terminal and not self._console.is_dumb_terminal:
            columns = (
                bars.TextColumn("{task.description}", markup=False),
                bars.BarColumn(20),
                _Count(),
                bars.TextColumn("{task.fields[doing]}", markup=False),
            )
            self._bars = bars.Progress(*columns, console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Progress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, part: str, doing: str, done: int | None = None, total: int | None = None) -> None:
        """Report what a part is doing, and how much of it is done. The first report of a part is its start."""
        with self._lock:
            if self._console is None:
                return
            begins = part not in self._parts
            if self._bars is not None:
                self._draw(self._bars, part, doing, done, total)
            elif begins or self._clock() - self._last >= PLAIN:
                of = "" if total is None else f" of {total}"
                self._write(part, doing if done is None else f"{doing}, {done}{of}")
            self._parts.setdefault(part, bars.TaskID(-1))

    def end(self, part: str, outcome: str) -> None:
        """Report that a part has ended, and how."""
        with self._lock:
            task = self._parts.pop(part, None)
            if self._bars is not None and task is not None:
                self._bars.remove_task(task)
                self._bars.refresh()
            elif self._bars is None and self._console is not None:
                self._write(part, outcome)

    def _draw(self, drawn: bars.Progress, part: str, doing: str, done: int | None, total: int | None) -> None:
        words = clean(doing).replace("\n", " ")
        begins = part not in self._parts
        if begins:
            name = encodable(drawn.console, part).plain
            self._parts[part] = drawn.add_task(name, total=total, doing=words, completed=done or 0)
        else:
            drawn.update(self._parts[part], total=total, completed=done, doing=words)
        now = self._clock()
        if begins or now - self._last >= DRAWN:
            self._last = now
            drawn.refresh()

    def _write(self, part: str, words: str) -> None:
        assert self._console is not None
        self._last = self._clock()
        verbatim(self._console, f"{part}: {words}".replace("\n", " "))
        self._console.file.flush()
