"""Sentences about changes, for the terminal and for Markdown."""

from __future__ import annotations

from bnspec.reports.compare.change import Change, Coverage, Excluded
from bnspec.reports.run.records import ratio_text, ratio_value

#: Characters of a message that are shown.
MESSAGE_AT_MOST = 240


def mark(change: Change) -> str:
    """Worse, better or other, as one word."""
    if change.movement in ("machine", "noise"):
        return change.movement
    return {"regression": "worse", "repair": "better", "change": "other"}[change.direction]


def what(change: Change) -> str:
    """The kind, the level where there is one, and what changed."""
    kind = "opens" if change.kind == "target" else f"{change.kind} {change.what}"
    return f"{change.level} {kind}" if change.level else kind


def before(change: Change) -> str:
    """What held before."""
    return change.before + _ratio(change.ratio_before if change.kind == "verdict" else None)


def after(change: Change) -> str:
    """What holds after; of a time, with its interval."""
    if change.kind == "time":
        return f"{change.after}, {interval(change)}"
    return change.after + _ratio(change.ratio_after if change.kind == "verdict" else None)


def _ratio(ratio: float | str | None) -> str:
    return "" if ratio is None else f", ratio {ratio_text(ratio)}"


def interval(change: Change) -> str:
    """The ratio of a time with its interval."""
    low = "?" if change.low is None else f"{change.low:.3g}"
    high = "?" if change.high is None else f"{change.high:.3g}"
    return f"{ratio_value(change.ratio_after):.3g} times [{low}, {high}]"


def details(change: Change) -> list[str]:
    """What is said below a change: how many cases changed, the message, the case."""
    found = []
    if change.kind == "verdict":
        both = f", {change.better} the other way" if change.better and change.worse else ""
        count = change.worse or change.better
        found.append(f"{count} case{'s' * (count > 1)} changed{both}")
    elif change.kind == "ending":
        found.append(f"in {change.worse} case{'s' * (change.worse > 1)}")
    message = change.message
    found += [message if len(message) <= MESSAGE_AT_MOST else f"{message[:MESSAGE_AT_MOST]} …"] if message else []
    return found + ([change.case] if change.case else [])


def coverage(c: Coverage) -> str:
    """How much was compared."""
    sides = [f"{n:,} only {when}" for n, when in ((c.only_before, "before"), (c.only_after, "after")) if n]
    return f"{c.both:,} {c.unit} in both" + (f" ({', '.join(sides)})" if sides else "")


def excluded(e: Excluded) -> str:
    """What was not compared, and why."""
    return f"not compared: {e.count:,} of {e.kind}: {e.reason}" if e.count else f"not compared: {e.kind}: {e.reason}"
