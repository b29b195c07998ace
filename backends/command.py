"""``bnspec backends``: every backend and device, ready or why not."""

from __future__ import annotations

import argparse

from bnspec.cli import CONFORMS, Command


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", action="append", default=[], metavar="GLOB", help="backends to look at (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _run(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json
    from concurrent.futures import ThreadPoolExecutor

    from bnspec.backends.harness.registry import select
    from bnspec.backends.harness.targets import describe

    with ThreadPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(describe, select(arguments.backend)))
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return CONFORMS
    width = max(len(str(r["backend"])) for r in rows)
    for row in rows:
        devices = row["devices"]
        assert isinstance(devices, dict)
        label = f"{row['framework']} {row['version']}".strip()
        for k, (device, state) in enumerate(devices.items()):
            head = f"{row['backend']:<{width}}  {label:<20}" if k == 0 else " " * (width + 22)
            print(f"{head}  {device:<5} {state}")
    return CONFORMS


BACKENDS = Command(
    help="List every backend with its framework's version and, for each kind of device, whether it is ready or why not.",
    example="bnspec backends --backend 'torch.*'",
    configure=_configure,
    run=_run,
)
