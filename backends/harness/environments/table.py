"""Environments as ``bnspec environments`` shows them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from bnspec.backends.harness.environments.cache import Kept
from bnspec.backends.harness.environments.environment import Environment
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.terminal.console import show, table, terminal, verbatim


def kept_json(kept: Kept) -> dict[str, Any]:
    """JSON-ready data."""
    return {
        "lock": kept.lock,
        "specification": kept.text,
        "python": kept.python,
        "bytes": kept.bytes,
        "used": _day(kept),
        "folder": str(kept.folder),
    }


def made_json(text: str, made: Environment | NotBuilt) -> dict[str, Any]:
    """JSON-ready data."""
    if isinstance(made, NotBuilt):
        return {"specification": text, "status": "unbuilt", "reason": made.reason}
    return {
        "specification": text,
        "status": "ready",
        "installed": made.built,
        "python": made.version,
        "interpreter": made.python,
        "lock": made.lock,
        "packages": dict(made.packages),
    }


def print_kept(kept: Sequence[Kept], empty: str) -> None:
    """A row for each, and their sum; ``empty``: what is said where there is none."""
    console = terminal()
    if not kept:
        verbatim(console, empty)
        return
    listed = table(console, "lock", "built for", "Python", "MB", "used", right=("MB",))
    for one in kept:
        listed.add_row(one.lock, one.text, one.python, f"{one.bytes / 1e6:.0f}", _day(one))
    show(console, listed)
    total = sum(one.bytes for one in kept)
    verbatim(console, f"\n{len(kept)} environments, {total / 1e9:.1f} GB")


def _day(kept: Kept) -> str:
    return datetime.datetime.fromtimestamp(kept.used, datetime.UTC).date().isoformat()
