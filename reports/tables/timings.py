"""Timings on the terminal: a table with bars for each workload, what was compared, and where the time of the run went."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bnspec.reports.plots.units import factor_text
from bnspec.reports.run.records import Comparison, RunFinished, ratio_text
from bnspec.reports.run.store import Run
from bnspec.reports.summary.bandwidth import Ceiling
from bnspec.reports.summary.cells import Cell, by_workload, cells
from bnspec.reports.summary.counts import COMPARISON_MARKS, MARKS, time_text
from bnspec.reports.tables.marks import mark, marked
from bnspec.terminal.console import encodable, has_symbols, heading, line, show, table

#: The longest bar and the shortest one that is drawn at all; the room that a contender's name
#: should have and must have; between columns.
_BAR, _LEAST_BAR, _NAME, _LEAST_NAME, _GAP = 20, 4, 16, 8, 2
#: From this width on a comparison says its verdict as a word.
_WIDE = 96


def print_timings(run: Run, console: Console) -> None:
    """A table per workload, fastest first; the bar is the median against the slowest of the workload."""
    listed = cells(run.timings, Ceiling(run.roofs))
    compared: dict[tuple[str, str], list[Comparison]] = {}
    for c in run.comparisons:
        compared.setdefault((c.workload, c.candidate), []).append(c)
    for title, rows in by_workload(listed).items():
        heading(console, title)
        _workload(rows, compared, console)
    if compared:
        _legend(run.comparisons, console)
    for words in accounting(run.finished):
        line(console)
        line(console, words, "dim")


def accounting(finished: RunFinished | None) -> list[str]:
    """Which share of the run, without imports and compilation, went into calls that are timed or warm up."""
    seconds: Mapping[str, float] = finished.seconds if finished else {}
    if not {"wall", "open", "first_calls", "timed"} <= seconds.keys():
        return []
    left = seconds["wall"] - seconds["open"] - seconds["first_calls"]
    if left <= 0:
        return []
    share = f"{seconds['timed'] / left:.0%} of {left:.0f} s went into timed and warm-up calls"
    besides = f"{seconds['open']:.0f} s opening frameworks and {seconds['first_calls']:.0f} s in first calls"
    return [f"{share}; besides, {besides}, compilation included."]


def _workload(rows: Sequence[Cell], compared: Mapping[tuple[str, str], Sequence[Comparison]], console: Console) -> None:
    """One table; what has no time, and what probes object to, stands below it."""
    timed = [c for c in rows if c.median_ns is not None]
    wide = console.width >= _WIDE
    columns: dict[str, list[Text]] = {"median": [], "±": [], "outputs": [], "roof": [], "against baseline": []}
    for c in timed:
        spread = "" if c.spread is None else f"{c.spread:.0%}" if c.spread >= 0.01 else "<1%"
        cells_of_row = (
            encodable(console, Text(time_text(c.median_ns), justify="right")),
            Text(spread, justify="right"),
            mark(console, c.verdict, (c.verdict != "rejected" and ratio_text(c.ratio)) or MARKS[c.verdict].word),
            encodable(console, _roof(c)),
            _verdicts(() if c.verdict == "rejected" else compared.get((c.workload, c.contender), ()), console, wide),
        )
        for column, text in zip(columns.values(), cells_of_row, strict=True):
            column.append(text)
    shown = {name: texts for name, texts in columns.items() if any(t.plain for t in texts)}
    if timed:
        show(console, _table([c.contender for c in timed], timed, shown, console))
    for c in rows:
        for words in _below(c):
            line(console, mark(console, c.verdict, f"{c.contender}: {words}"))


def _table(names: Sequence[str], timed: Sequence[Cell], shown: Mapping[str, Sequence[Text]], console: Console) -> Table:
    """The columns that say something, and bars in the room that is left; where there is too little, fewer columns."""
    width = console.width
    shown = dict(shown)
    for name in ("roof", "±"):
        if width - sum(_widths(shown)) < _NAME and name in shown:
            del shown[name]
    room = width - sum(_widths(shown))
    longest = max(len("contender"), *map(len, names))
    bar = min(_BAR, room - min(longest, max(_NAME, room - _BAR)) - _GAP)
    bar = bar if bar >= _LEAST_BAR else 0
    name_room = max(min(longest, room - (bar + _GAP if bar else 0)), _LEAST_NAME)
    made = table(console, "contender", *shown, *([""] if bar else []))
    slowest = max(c.median_ns or 0.0 for c in timed)
    for i, c in enumerate(timed):
        length = max(round(bar * (c.median_ns or 0.0) / slowest), 1) if slowest else 0
        colour = "cyan" if c.verdict == "conforms" else "red"
        bars = [Text(("█" if has_symbols(console) else "#") * length, colour)] if bar else []
        made.add_row(Text(_broken(c.contender, name_room)), *(texts[i] for texts in shown.values()), *bars)
    return made


def _verdicts(found: Sequence[Comparison], console: Console, wide: bool) -> Text:
    """Ratio, interval and verdict of each comparison, a line for each."""
    lines = []
    for c in found:
        ratio = factor_text(c.ratio) if c.ratio is not None else ""
        interval = f" [{factor_text(c.low)}, {factor_text(c.high)}]" if c.low is not None and c.high is not None else ""
        more = f" (+{c.more_processes})" if c.verdict == "AMBIGUOUS" and c.more_processes else ""
        text = marked(
            console, COMPARISON_MARKS[c.verdict], f"{ratio}{interval}{f' {c.verdict}' if wide else ''}{more}".strip()
        )
        lines.append(text)
    return Text("\n").join(lines)


def _legend(comparisons: Sequence[Comparison], console: Console) -> None:
    """What the marks of the comparisons mean, and how small a difference could have been found."""
    line(console)
    text = Text()
    for verdict in COMPARISON_MARKS.values():
        text.append_text(marked(console, verdict)).append(f" {verdict.word}  ", "dim")
    line(console, text)
    baselines = list(dict.fromkeys(c.baseline for c in comparisons))
    words = "Time relative to " + (baselines[0] if len(baselines) == 1 else "the baselines " + ", ".join(baselines))
    words += ", with its 95 % interval; (+n): n more processes would decide; !: faster than the memory allows."
    detectable = [c.detectable for c in comparisons if c.detectable is not None]
    if detectable:
        least, most = factor_text(min(detectable)), factor_text(max(detectable))
        words += f" Detectable: {least}" + (f" to {most}" if least != most else "") + "."
    line(console, words, "dim")


def _below(cell: Cell) -> list[str]:
    """What the table has no column for: why nothing was timed, and what probes object to."""
    if cell.median_ns is None:
        return [cell.message or MARKS[cell.verdict].word]
    return [f"{name.replace('_', ' ')}: {objection}" for name, objection in cell.probes.items() if objection]


def _roof(cell: Cell) -> Text:
    """The fraction of the roof, as a factor where it is beyond anything, and marked where it is impossible."""
    share = cell.fraction
    words = "" if share is None else f"{share:.0%}" if share < 10 else f"{share:.0f}×"
    return Text(words + "!" * cell.impossible, "bold red" if cell.impossible else "", justify="right")


def _broken(name: str, room: int) -> str:
    """A contender's name in lines that fit, broken before its device, its conditions, and between them."""
    lines = [""]
    for part in re.split(r"(?=[@\[])|(?<=,)|(?=\.)", name):
        if lines[-1] and len(lines[-1]) + len(part) > room:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _widths(shown: Mapping[str, Sequence[Text]]) -> list[int]:
    """Of each column, with the gap after it."""
    return [
        max(len(line) for words in (name, *(t.plain for t in texts)) for line in words.split("\n")) + _GAP
        for name, texts in shown.items()
    ]
