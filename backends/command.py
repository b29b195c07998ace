"""``bnspec backends``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bnspec.cli import CONFORMS
from bnspec.options import BACKEND, JSON, command


@command(
    "backends",
    summary="list backends and devices: ready, or why not",
    example="bnspec backends --backend 'torch.*'",
    params=[BACKEND, JSON],
)
def backends(command_line: str, backend: Sequence[str], as_json: bool) -> int:
    """List every backend with the version of its framework and, for each kind of device, whether it is ready or why not."""
    from concurrent.futures import ThreadPoolExecutor

    from bnspec.backends.harness.registry import select
    from bnspec.backends.harness.targets import describe
    from bnspec.terminal.console import print_json

    with ThreadPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(describe, select(backend)))
    if as_json:
        print_json(rows)
    else:
        _print(rows)
    return CONFORMS


def _print(rows: Sequence[Mapping[str, object]]) -> None:
    """A row for each backend and device."""
    from bnspec.terminal.console import show, table, terminal

    console = terminal()
    listed = table(console, "backend", "framework", "device", "state")
    for row in rows:
        devices = row["devices"]
        assert isinstance(devices, dict)
        names = str(row["backend"]), f"{row['framework']} {row['version']}".strip()
        for device, state in devices.items():
            listed.add_row(*names, device, state)
            names = "", ""
    show(console, listed)
