"""The table of ``bnspec backends``: a row for each backend, and below it each reason once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bnspec.terminal.console import line, show, table, terminal

READY = "ready"


def print_backends(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the backends with their devices that are ready, and the others with the number of the reason."""
    console = terminal()
    notes: dict[str, int] = {}
    listed = table(console, "backend", "framework", READY, "not ready")
    for row in rows:
        devices: Mapping[str, str] = row["devices"]
        framework = f"{row['framework']} {row['version']}".strip()
        listed.add_row(row["backend"], framework, ", ".join(ready(devices)), others(devices, notes))
    show(console, listed)
    line(console)
    for reason, number in notes.items():
        line(console, f"[{number}] {reason}")
    count = sum(bool(ready(row["devices"])) for row in rows)
    line(console, f"{len(rows)} backends, {count} of them ready on some device")


def ready(devices: Mapping[str, str]) -> list[str]:
    """The devices that are."""
    return [device for device, state in devices.items() if state == READY]


def others(devices: Mapping[str, str], notes: dict[str, int]) -> str:
    """The other devices, each with the number of its reason in ``notes``, which gets the new ones."""
    words = []
    for device, state in devices.items():
        if state != READY:
            words.append(f"{device} [{notes.setdefault(state, len(notes) + 1)}]")
    return ", ".join(words)
