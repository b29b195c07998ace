"""The terminal: what a run found, in one screen or a few. Plain, uncoloured lines where it is not a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from bnspec.reports.run.evidence import known_sentence
from bnspec.reports.run.records import Finding, Incident, ratio_text, target_name
from bnspec.reports.run.store import Run
from bnspec.reports.summary.counts import Standing, Tally, deviations, families, standings, tally
from bnspec.reports.tables.printer import Printer
from bnspec.reports.tables.timings import print_timings

_LEVEL_STYLES = {"MUST": "bold red", "SHOULD": "yellow", "MAY": "cyan"}
_GAP = 2


def print_summary(run: Run, console: Console) -> None:
    """Print the matrix of targets and families, then deviations, incidents, absent targets and timings, as far as there are any.

    A console that is not a terminal should be 100 wide: ``Console(width=100)``.
    """
    printer = _Printer(console)
    if run.findings:
        printer.matrix(run)
    printer.deviations(run.findings)
    printer.incidents(run.incidents)
    printer.absent(standings(run))
    if run.timings:
        print_timings(run, printer)
    if run.finished is not None and run.findings:
        for words in throughput(run):
            printer.line(Text(words, "dim"))
    if not run.complete:
        printer.heading("This run was cut short: what stands above is what it had recorded.")


def throughput(run: Run) -> list[str]:
    """What the run cost: answers a second, and the shares of the processor time by where it went."""
    if run.finished is None or "hypothesis_cpu" not in run.finished.seconds:  # timings, or runs merged: another account
        return []
    wall = run.finished.seconds.get("wall", 0.0)
    spent: dict[str, float] = {"hypothesis": run.finished.seconds.get("hypothesis_cpu", 0.0)}
    for target in run.targets_finished:
        for name in ("backend", "oracle", "judge", "wire"):
            spent[name] = spent.get(name, 0.0) + target.seconds.get(f"{name}_cpu", 0.0)
    answers = sum(sum(t.cases.values()) for t in run.targets_finished)
    whole = sum(spent.values())
    if not (wall and whole):
        return []
    shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in sorted(spent.items(), key=lambda s: -s[1]))
    opening = sum(t.seconds.get("open", 0.0) for t in run.targets_finished)
    shrinking = sum(t.seconds.get("shrink", 0.0) for t in run.targets_finished)
    return [
        f"{answers} answers in {wall:.0f} s ({answers / wall:.1f} a second); processor time: {shares}.",
        f"Beside that {opening:.0f} s opening frameworks and {shrinking:.0f} s shrinking, summed over targets that run side by side.",
    ]


class _Printer(Printer):
    """Prints what was judged."""

    def cell(self, counted: Tally) -> Text:
        """A family on a target: worst ratio where all judged conform, else how many do not; then what was not judged."""
        verdict, judged = counted.verdict, counted.judged
        tails = {"conforms": ratio_text(counted.ratio), "deviates": f"{counted.verdicts['deviates']} of {judged}"}
        text = self.mark(verdict, tails.get(verdict, str(counted.verdicts[verdict] or "")))
        for other in ("crashed", "timeout", "declined", "not_exercised"):
            if other != verdict and counted.verdicts[other]:
                text.append(" ").append_text(self.mark(other, str(counted.verdicts[other])))
        return text

    def matrix(self, run: Run) -> None:
        """Targets by families, in as many tables as the width asks for."""
        rows = [s for s in standings(run) if s.tally.verdicts]
        names = families(run.findings)
        grouped: dict[tuple[str, str], list[Finding]] = {}
        for finding in run.findings:
            grouped.setdefault((target_name(finding), finding.family), []).append(finding)
        cells = {(r.target, n): self.cell(tally(grouped.get((r.target, n), ()))) for r in rows for n in names}
        widths = [max(len(n), *(cells[r.target, n].cell_len for r in rows)) + _GAP for n in names]
        for part in _fitting(names, widths, self.console.width - max(len(r.target) for r in rows)):
            table = self.table("target", *(name.replace("_", " ") for name in part))
            for row in rows:
                table.add_row(row.target, *(cells[row.target, name] for name in part))
            self.console.print(table)
            self.line(Text())
        legend = Text()
        for verdict, meaning in _LEGEND.items():
            legend.append_text(self.mark(verdict)).append(f" {meaning}  ", "dim")
        self.line(legend)
        self.line(Text())
        for row in rows:
            self.line(self.mark(row.verdict, f"{row.target}: {row.sentence}"))

    def deviations(self, findings: Sequence[Finding]) -> None:
        """What deviates, the weightiest first."""
        found = deviations(findings)
        if not found:
            return
        self.heading(f"{len(found)} deviation{'s' * (len(found) > 1)}")
        for f in found:
            head = Text(f"{f.level:<6} ", _LEVEL_STYLES[f.level]).append(f.clause, "bold")
            known = "  (known)" if f.known else ""
            head.append(f"  {target_name(f)}  ratio {ratio_text(f.ratio)}  {f.failures} of {f.cases} cases{known}")
            self.line(head)
            for detail in (f.message, *map(known_sentence, f.known), f.shrunk or f.case or ""):
                if detail:
                    self.line(Text(f"       {detail}", "dim"))

    def incidents(self, incidents: Sequence[Incident]) -> None:
        """Cases that ended in no answer."""
        if incidents:
            self.heading(f"{len(incidents)} case{'s' * (len(incidents) > 1)} without an answer")
        for i in incidents:
            step = "" if i.step is None else f" step {i.step}"
            self.line(self.mark(i.status, f"{i.status}  {target_name(i)}  {i.case}{step}  {i.message}"))

    def absent(self, rows: Iterable[Standing]) -> None:
        """Targets that could not be opened, with the reason."""
        missing = [row.record for row in rows if row.record and not row.ready]
        if missing:
            self.heading("not judged")
        for record in missing:
            self.line(Text(f"{target_name(record)}  {record.status}: {record.reason}"))


_LEGEND = {
    "conforms": "worst error/bound",
    "deviates": "clauses that deviate",
    "crashed": "no answer",
    "declined": "declined",
    "not_exercised": "never asked",
}


def _fitting(names: Sequence[str], widths: Sequence[int], room: int) -> list[list[str]]:
    """The names in rows whose widths fit into the room; at least one in each."""
    rows: list[list[str]] = []
    left = 0
    for name, width in zip(names, widths, strict=True):
        if not rows or width > left:
            rows.append([])
            left = room
        rows[-1].append(name)
        left -= width
    return rows


def terminal() -> Console:
    """A console for standard output: as wide as the terminal, 100 wide and without colour elsewhere."""
    console = Console()
    return console if console.is_terminal else Console(width=100, color_system=None)
