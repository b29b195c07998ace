"""``bnspec bench``: time backends; every row carries the verdict of its own outputs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bnspec.cli import FAILED, Command, seed_number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0.0 < number <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600")
    return number


def _configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--backend",
        action="append",
        default=[],
        metavar="GLOB",
        help="backends, or package.module:Class (default: all)",
    )
    add("--device", action="append", default=[], metavar="GLOB", help="devices: cpu, cuda:0, '*' (default: cpu)")
    add(
        "--pass",
        dest="passes",
        action="append",
        default=[],
        metavar="P",
        help="training, training_gradients or inference (default: all)",
    )
    add("--quick", action="store_true", help="three shapes only, and briefly")
    add(
        "--seconds",
        type=_seconds,
        metavar="S",
        help="to spend on the timed calls of each cell (default: 1; quick: 0.15)",
    )
    add("--seed", type=seed_number, default=1, help="of the data (default: 1)")
    add("--out", type=Path, metavar="DIR", help="run directory to write (default: runs/<id>)")
    add("--json", action="store_true", help="print one JSON document instead of the table")


def _run(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json

    from bnspec.benchmarks.run import Request, bench
    from bnspec.reports.document import run_document
    from bnspec.reports.table import print_summary, terminal

    request = Request(
        arguments.backend,
        arguments.device,
        arguments.passes,
        "quick" if arguments.quick else "standard",
        arguments.seconds or (0.15 if arguments.quick else 1.0),
        arguments.seed,
        arguments.out,
    )
    run, status = bench(request, arguments.command_line, quiet=arguments.json)
    if arguments.json:
        print(json.dumps(run_document([run]), indent=1, allow_nan=False))
    else:
        console = terminal()
        print_summary(run, console)
        console.print(f"\n{run.path}", highlight=False, markup=False, soft_wrap=True)
    if status == FAILED:
        reasons = sorted({t.message for t in run.timings if t.message})
        sys.stderr.write(
            f"bnspec bench: nothing could be timed.\n  Why:  {'; '.join(reasons) or 'no reason was given'}.\n"
        )
        sys.stderr.write("  Mend: bnspec backends shows what is ready; choose another --backend, --device or --pass.\n")
    return status


BENCH = Command(
    help="Time backends on the same inputs, one after the other, each in a process of its own. The outputs of the last "
    "timed call are judged by the specification: exit status 0 when all conform, 1 when some deviate.",
    example="bnspec bench --quick --backend 'torch.*' --pass training",
    configure=_configure,
    run=_run,
)
