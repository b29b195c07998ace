"""Values of conventions as words."""

from __future__ import annotations

from typing import Any

from bnspec.reports.run.conventions import Convention


def found_text(convention: Convention) -> str:
    """What the experiments leave possible."""
    if not convention.possible:
        return "none of the known"
    if convention.interval is not None and len(convention.possible) > 1:
        return "any"
    return " or ".join(value_text(p) for p in convention.possible)


def value_text(value: Any) -> str:
    """A value as a reader would write it."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
