"""``bnspec backends`` and ``bnspec new``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from bnspec.cli import CONFORMS
from bnspec.options import BACKEND, JSON, command, folder


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


@command(
    "new",
    summary="write a package with a backend that runs at once",
    example="bnspec new my_layer\nbnspec verify --backend my_layer/bnspec_my_layer/adapter.py:MyLayer",
    params=[
        click.Argument(["name"], help="The backend's name: small letters, digits and underscores."),
        folder("--out", help="Write the package here; by default in a folder of its name."),
        JSON,
    ],
)
def new(command_line: str, name: str, out: Path | None, as_json: bool) -> int:
    """Write a package with an adapter, its entry point and a test, which run as they are; then put your own layer in.

    The entry point makes it a backend of every command once the package is installed: pip install -e NAME.
    """
    from bnspec.backends.harness.new import class_of, write_new
    from bnspec.terminal.console import print_json, terminal, verbatim

    target = out or Path(name)
    written = write_new(name, target)
    adapter = f"{target / f'bnspec_{name}' / 'adapter.py'}:{class_of(name)}"
    if as_json:
        print_json({"folder": str(target), "backend": adapter, "files": [str(path) for path in written]})
        return CONFORMS
    console = terminal()
    for path in written:
        verbatim(console, str(path))
    verbatim(console, f"\nbnspec verify --backend {adapter}")
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
