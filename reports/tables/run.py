"""The terminal: what a run found, in one screen or a few. Plain, uncoloured lines where it is not a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bnspec.reports.run.merge import damage
from bnspec.reports.run.mutants import Mutant
from bnspec.reports.run.records import Finding, Incident, ratio_text, target_name
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import Verdict
from bnspec.reports.summary.conventions import found_text, value_text
from bnspec.reports.summary.counts import Standing, Tally, deviations, families, standings, tally, weightiest
from bnspec.reports.summary.declined import by_reason
from bnspec.reports.summary.excerpt import excerpt, listing
from bnspec.reports.summary.headlines import conventions_headline, mutants_headline
from bnspec.reports.tables.causes import print_causes
from bnspec.reports.tables.findings import print_findings
from bnspec.reports.tables.marks import mark
from bnspec.reports.tables.more import print_more
from bnspec.reports.tables.stability import print_stability
from bnspec.reports.tables.timings import print_timings
from bnspec.terminal.console import heading, line, show, table, terminal, verbatim

_GAP = 2
#: The line under the matrix on the counts that are no deviation.
NOT_REQUIRED = "A MAY is recorded and requires nothing; declined counts clauses whose cases it does not offer."


#: Rows of the matrix; deviations, causes, and each other kind of line that a summary shows one by one.
TARGETS, DEVIATIONS, OTHERS = 60, 100, 50


def print_summary(run: Run, console: Console, paths: Sequence[Path] = ()) -> None:
    """Print what the run holds: the matrix of targets and families, causes, deviations, reasons for declining, incidents,
    absent targets, timings, conventions, the kill matrix and stability. Of very many the first, and the call that lists all.

    Args:
        console: ``bnspec.terminal.console.terminal`` makes it. paths: of the runs, where several were merged.
    """
    places = paths or [run.path]
    rows, everything = standings(run), listing(places) + " --json"
    if run.findings:
        _matrix(run, rows, console, everything)
    print_causes(run, console, DEVIATIONS, listing(places, "causes"))
    if deviating := deviations(run.findings):
        print_findings(deviating, console, DEVIATIONS, listing(places, pattern="*"))
    _declined(run.findings, console, everything)
    _incidents(run.incidents, console, everything)
    _absent(rows, console, everything)
    if run.timings:
        print_timings(run, console)
    _conventions(run, console)
    _mutants(run, console)
    if run.stability_curves or run.not_measured:
        print_stability(run.stability_curves, run.not_measured, run.reaches, console)
    if run.finished is not None and run.findings:
        for words in throughput(run):
            line(console, words, "dim")
    if run.damaged:
        heading(console, damage(run))
    if not run.complete:
        heading(console, "This run was cut short: the summary shows what it had recorded.")


def print_run(run: Run, notes: Sequence[str] = ()) -> None:
    """Print the summary of a run on standard output, then notes, then the path of its directory."""
    console = terminal()
    print_summary(run, console)
    for note in notes:
        verbatim(console, note)
    verbatim(console, f"\n{run.path}")


def throughput(run: Run) -> list[str]:
    """What the run cost: answers a second, and the shares of the processor time by where it went."""
    if run.finished is None or "hypothesis_cpu" not in run.finished.seconds:  # timings, or runs merged: another account
        return []
    wall = run.finished.seconds.get("wall", 0.0)
    spent: dict[str, float] = {"hypothesis": run.finished.seconds.get("hypothesis_cpu", 0.0)}
    for target in run.targets_finished:
        for name in ("backend", "oracle", "judge", "wire"):
            spent[name] = spent.get(name, 0.0) + target.seconds.get(f"{name}_cpu", 0.0)
    left = sum(t.cases.get("not_run", 0) for t in run.targets_finished)
    answers = sum(sum(t.cases.values()) for t in run.targets_finished) - left
    whole = sum(spent.values())
    if not (wall and whole):
        return []
    shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in sorted(spent.items(), key=lambda s: -s[1]))
    opening = sum(t.seconds.get("open", 0.0) for t in run.targets_finished)
    shrinking = sum(t.seconds.get("shrink", 0.0) for t in run.targets_finished)
    causes = sum(t.seconds.get("causes", 0.0) for t in run.targets_finished)
    never = f" {left} cases were not run." if left else ""
    return [
        f"{answers} answers in {wall:.0f} s ({answers / wall:.1f} a second); processor time: {shares}.{never}",
        f"Beside that {opening:.0f} s opening frameworks, {shrinking:.0f} s shrinking, {causes:.0f} s finding causes, in all targets.",
    ]


def _cell(counted: Tally, console: Console) -> Text:
    """A family on a target: worst ratio where all judged conform, else how many do not; then what was not judged."""
    verdict, judged = counted.verdict, counted.judged
    tails = {"conforms": ratio_text(counted.ratio), "deviates": f"{counted.verdicts['deviates']} of {judged}"}
    text = mark(console, verdict, tails.get(verdict, str(counted.verdicts[verdict] or "")))
    for other in ("crashed", "timeout", "declined", "not_exercised"):
        if other != verdict and counted.verdicts[other]:
            text.append(" ").append_text(mark(console, other, str(counted.verdicts[other])))
    return text


def _matrix(run: Run, every: Sequence[Standing], console: Console, call: str) -> None:
    """Targets by families, in as many tables as the width asks for."""
    chosen = weightiest([s for s in every if s.tally.verdicts], TARGETS)
    rows, shown = chosen.shown, {s.target for s in chosen.shown}
    columns = excerpt(families(run.findings), OTHERS)
    names = columns.shown
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in (f for f in run.findings if target_name(f) in shown):
        grouped.setdefault((target_name(finding), finding.family), []).append(finding)
    cells = {(r.target, n): _cell(tally(grouped.get((r.target, n), ())), console) for r in rows for n in names}
    widths = [max(len(n), *(cells[r.target, n].cell_len for r in rows)) + _GAP for n in names]
    for part in _fitting(names, widths, console.width - max(len(r.target) for r in rows)):
        listed = table(console, "target", *(name.replace("_", " ") for name in part))
        for row in rows:
            listed.add_row(row.target, *(cells[row.target, name] for name in part))
        show(console, listed)
        line(console)
    legend = Text()
    for verdict, meaning in _LEGEND.items():
        legend.append_text(mark(console, verdict)).append(f" {meaning}  ", "dim")
    line(console, legend)
    line(console, NOT_REQUIRED, "dim")
    line(console)
    for row in rows:
        line(console, mark(console, row.verdict, f"{row.target}: {row.sentence}"))
    print_more(columns.more, "families", call, console)
    print_more(chosen.more, "targets, which break less", call, console)


def _declined(findings: Sequence[Finding], console: Console, call: str) -> None:
    """Why cases were declined, one line for each reason."""
    reasons = excerpt(by_reason(findings), OTHERS)
    if reasons:
        heading(console, "declined: for each reason, cases summed over clauses")
    for reason, count in reasons.shown:
        clauses = f"{len(count.clauses)} clause{'s' * (len(count.clauses) > 1)}"
        targets = excerpt(count.targets, OTHERS)
        more = f" and {targets.more:,} more" if targets.more else ""
        words = f"{clauses}; {', '.join(targets.shown)}{more}"
        line(console, f"{count.cases:>6}  {reason or 'no reason was given'}  ({words})")
    print_more(reasons.more, "reasons", call, console)


def _incidents(incidents: Sequence[Incident], console: Console, call: str) -> None:
    """Cases that ended in no answer."""
    if incidents:
        heading(console, f"{len(incidents)} case{'s' * (len(incidents) > 1)} without an answer")
    part = excerpt(incidents, OTHERS)
    for i in part.shown:
        step = "" if i.step is None else f" step {i.step}"
        line(console, mark(console, i.status, f"{i.status}  {target_name(i)}  {i.case}{step}  {i.message}"))
    print_more(part.more, "cases", call, console)


def _conventions(run: Run, console: Console) -> None:
    """The conventions that contradict their declaration, and whether the translations hold."""
    if not run.conventions and not run.translations:
        return
    heading(console, conventions_headline(run))
    for c in run.conventions:
        if c.agreement == "differs":
            values = f"declared {value_text(c.declared)}, inferred {found_text(c)}: {c.evidence}"
            line(console, f"{target_name(c)}  {c.field}: {values}")
    for t in run.translations:
        how = "exact" if t.exact else "not exact" if t.possible else "there is none"
        count = "" if t.count is None else f" with {t.count} values per channel"
        proof = f", worst ratio {ratio_text(t.ratio)}" if t.proofs else ""
        names = f"{target_name(t)} to {t.to_backend}@{t.to_device}"
        line(console, f"{names}, for {t.purpose}{count}: {how}{proof}")


def _mutants(run: Run, console: Console) -> None:
    """The kill matrix in one line, and what is not as it should be."""
    if not run.mutants and not run.variants:
        return
    heading(console, mutants_headline(run))
    for r in (*run.mutants, *run.variants):
        if not r.as_it_should_be:
            word = "mutant" if isinstance(r, Mutant) else "variant"
            by = ", ".join(r.killed_by) or "none"
            on = f" on {r.seeds - r.seeds_as_it_should_be} of {r.seeds} seeds" if r.seeds > 1 else ""
            line(console, mark(console, "deviates", f"{word} {r.name}{on}: killed by {by}"))
    mistrusted = [c.clause for c in run.clause_kills if c.mistrusted]
    if mistrusted:
        line(console, "clauses that killed no mutant (mistrusted): " + ", ".join(mistrusted))


def _absent(rows: Iterable[Standing], console: Console, call: str) -> None:
    """Targets that could not be opened, with the reason."""
    missing = excerpt((row.record for row in rows if row.record and not row.ready), OTHERS)
    if missing:
        heading(console, "not judged")
    for record in missing.shown:
        line(console, Text(f"{target_name(record)}  {record.status}: {record.reason}"))
    print_more(missing.more, "targets", call, console)


_LEGEND: dict[Verdict, str] = {
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
