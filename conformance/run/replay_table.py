"""A replayed case on a terminal, and as a JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console

from bnspec.clauses import CLAUSES
from bnspec.conformance.run.replay import Replay, ReplayedStep
from bnspec.model.case import Case
from bnspec.terminal.console import heading, indented, line, show, table, terminal


def print_replays(case: Case, replays: Sequence[Replay]) -> None:
    """Print what the case is, then for each target its steps and the clauses that it breaks."""
    console = terminal()
    config = case.config
    words = f"case {case.id}: {case.subject.replace('_', ' ')}, rank {config.rank}, {config.channels} channels on axis "
    words += f"{config.channel_axis}, {config.dtype}, epsilon {config.epsilon:g}, decay {config.decay:g}"
    line(console, words)
    for replayed in replays:
        heading(console, replayed.target.name)
        if replayed.reason:
            indented(console, f"no answer: {replayed.reason}")
            continue
        print_steps(console, replayed.steps)
        print_clauses(console, replayed)


def print_steps(console: Console, steps: Sequence[ReplayedStep]) -> None:
    """A row for each output of each step: its worst element."""
    columns = ("step", "call", "output", "expected", "got", "bound", "ratio")
    rows = table(console, *columns, right=("step", "ratio"))
    for step in steps:
        if not step.elements:
            said = step.status if step.status == "ok" else f"{step.status}: {step.message}"
            rows.add_row(str(step.number), step.call, "" if said == "ok" else said, "", "", "", "")
        for number, e in enumerate(step.elements):
            named = f"{e.output}[{', '.join(map(str, e.index))}]"
            first = (str(step.number), step.call) if number == 0 else ("", "")
            rows.add_row(*first, named, *map(_text, (e.expected, e.got)), _short(e.bound), _short(e.ratio))
    show(console, rows)


def print_clauses(console: Console, replayed: Replay) -> None:
    """The clauses that are broken, and how many are not."""
    judged = [j for j in replayed.judgements.values() if j is not None]
    line(console)
    for clause in replayed.broken:
        judgement = replayed.judgements[clause]
        assert judgement is not None  # it is broken
        step = "" if judgement.evidence is None else f"step {judgement.evidence.step + 1}: "
        known = replayed.known.get(clause)
        line(
            console,
            f"{CLAUSES[clause].level:<6} {clause}  ratio {_short(judgement.ratio)}{'  (known)' if known else ''}",
        )
        indented(console, f"       {step}{judgement.message}")
        if known:
            indented(console, f"       {known.kind}: {known.reason}")
    declined = len(replayed.judgements) - len(judged)
    more = f"; {declined} declined" if declined else ""
    line(console, f"{len(judged) - len(replayed.broken)} of {len(judged)} clauses that the case asks conform{more}.")


def document(case: Case, replays: Sequence[Replay]) -> dict[str, Any]:
    """The same as a JSON document."""
    targets = []
    for r in replays:
        clauses = {
            c: None
            if j is None
            else {
                "conforms": j.holds,
                "ratio": _short(j.ratio) if j.ratio == float("inf") else j.ratio,
                "message": j.message,
                "evidence": None if j.evidence is None else msgspec.to_builtins(j.evidence),
                "known": msgspec.to_builtins(r.known[c]) if c in r.known else None,
            }
            for c, j in r.judgements.items()
        }
        place = {"backend": r.target.entry.name, "device": r.target.device, "reason": r.reason}
        targets.append({**place, "steps": msgspec.to_builtins(r.steps), "clauses": clauses})
    return {"case": case.id, "targets": targets}


def _text(number: float | str | None) -> str:
    return f"{number:.17g}" if isinstance(number, float) else str(number)


def _short(number: float | str | None) -> str:
    return f"{float(number):.3g}" if number is not None else ""
