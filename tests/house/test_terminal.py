"""The terminal: text of a run is never markup or control, tables fit any width, progress is a few lines in a log."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console
from rich.text import Text

from bnspec.printable import clean
from bnspec.terminal.console import encodable, heading, indented, line, show, table, terminal, verbatim
from bnspec.terminal.progress import DRAWN, PLAIN, Progress

HOSTILE = "a\x1b[2Jb\rc\x07d\x9be\u202ef[bold]g[/nothing]h\udc80"


def console_of(width: int = 60, encoding: str = "utf-8", live: bool = False) -> tuple[Console, io.BytesIO]:
    """A console that writes into memory, and what it wrote."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    colours = {"force_terminal": True, "color_system": "standard", "_environ": {}} if live else {"color_system": None}
    return Console(file=file, width=width, **colours), raw  # type: ignore[arg-type]


def test_control_characters_are_replaced_and_others_are_kept() -> None:
    """What could move the cursor, change the title or reverse the text; neither the line feed nor the tab."""
    assert clean(HOSTILE) == "a\ufffd[2Jb\ufffdc\ufffdd\ufffde\ufffdf[bold]g[/nothing]h\ufffd"
    assert clean("one\n\ttwo µ é 漢") == "one\n\ttwo µ é 漢"


@pytest.mark.parametrize("live", [False, True], ids=["plain", "terminal"])
def test_hostile_text_comes_out_as_text_whatever_prints_it(live: bool) -> None:
    """In a line, a heading, a paragraph and a table: no character of its own controls the terminal."""
    console, raw = console_of(200, live=live)
    cells = table(console, HOSTILE, "other", title=HOSTILE)
    cells.add_row(HOSTILE, Text(HOSTILE, "red"))
    line(console, HOSTILE)
    heading(console, HOSTILE)
    verbatim(console, HOSTILE)
    indented(console, HOSTILE)
    show(console, cells)
    said = raw.getvalue().decode()
    assert said.count("[2Jb\ufffdc\ufffdd") == 7  # rich itself drops the two characters from a Text
    assert said.count("[bold]g[/nothing]h\ufffd") == 8
    assert not any(sign in said for sign in ("\x1b[2J", "\r", "\x07", "\x9b", "\u202e"))


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [20, 40, 100])
def test_a_table_cuts_nothing_off_at_any_width(width: int, encoding: str) -> None:
    """The widest columns fold; lines end without blanks where there is no terminal."""
    console, raw = console_of(width, encoding)
    cells = table(console, "name", "count", "message", right=("count",))
    cells.add_row("short", "12", "a message of many words that has to be folded somewhere ± " * 2)
    show(console, cells)
    lines = raw.getvalue().decode(encoding).splitlines()
    assert max(map(len, lines)) <= width
    assert all(row == row.rstrip() for row in lines)
    assert "…" not in "".join(lines)
    assert "".join("".join(lines).split()).count("somewhere" if width == 100 else "s") >= 2


def test_a_console_without_symbols_gets_their_twins() -> None:
    """Styles that would move are dropped rather than put in the wrong place."""
    console, _ = console_of(encoding="ascii")
    assert encodable(console, "1 µs ± 2 × ∞ é").plain == "1 us +- 2 x inf ?"
    assert encodable(console, Text.assemble(("µ", "red"), "s")).spans


def test_where_there_is_no_terminal_the_console_is_plain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """100 wide, or as COLUMNS says; no colour and no frame."""
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    assert terminal().width == 100
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal().width == 72
    heading(terminal(), "bold")
    verbatim(terminal(stderr=True), "x" * 200)
    said = capsys.readouterr()
    assert said.out == "\nbold\n"
    assert said.err == "x" * 200 + "\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even on a terminal: bold is left, colour is not."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal().no_color


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_in_a_log_a_part_is_a_line_at_its_start_one_at_its_end_and_one_in_thirty_seconds() -> None:
    """A run of an hour leaves a log that can be read."""
    (console, raw), clock = console_of(200), Clock()
    with Progress(console=console, clock=clock) as progress:
        progress.update("one", "opening")
        for second in range(100):
            clock.now = float(second)
            progress.update("one", "running", second, 100)
            if second == 50:
                progress.update("two", "opening\x1b[2J\nslowly")
        progress.end("one", "done, 100 cases")
    assert raw.getvalue().decode().splitlines() == [
        "one: opening",
        "one: running, 30 of 100",
        "two: opening\ufffd[2J slowly",
        "one: running, 80 of 100",
        "one: done, 100 cases",
    ]
    assert PLAIN == 30.0


def test_on_a_terminal_bars_are_drawn_and_removed() -> None:
    """By the reports themselves, at most ten times a second: a thread that draws would disturb what is timed."""
    (console, raw), clock = console_of(100, live=True), Clock()
    before = threading.active_count()
    with Progress(console=console, clock=clock) as progress:
        progress.update("one[bold]", "opening\x1b[2J", 3, 12)
        assert threading.active_count() == before
        drawn = len(raw.getvalue())
        progress.update("one[bold]", "running", 4, 12)
        assert len(raw.getvalue()) == drawn
        clock.now += 2 * DRAWN
        progress.update("one[bold]", "running", 5, 12)
        progress.end("one[bold]", "done")
    said = raw.getvalue().decode()
    assert all(words in said for words in ("one[bold]", "3/12", "5/12", "opening\ufffd[2J", "running"))
    assert "4/12" not in said
    assert "\x1b[2J" not in said
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1


def test_a_file_gets_plain_lines_even_where_colour_is_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No bar, no carriage return, no moved cursor."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Progress() as progress:
        progress.update("one", "running", 1, 2)
        progress.end("one", "done, 2 cases")
    assert capsys.readouterr().err == "one: running, 1 of 2\none: done, 2 cases\n"


def test_quiet_progress_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, standard error is left to errors."""
    with Progress(quiet=True) as progress:
        progress.update("one", "opening")
        progress.end("one", "done")
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_parts_report_from_many_threads() -> None:
    """Each leaves its two lines, whole."""
    console, raw = console_of(200)
    with Progress(console=console) as progress:

        def work(name: str) -> None:
            for k in range(50):
                progress.update(name, "running", k)
            progress.end(name, "done")

        threads = [threading.Thread(target=work, args=(f"part {k}",)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = raw.getvalue().decode().splitlines()
    assert sorted(lines) == sorted(f"part {k}: {end}" for k in range(8) for end in ("running, 0", "done"))
