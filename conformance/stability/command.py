"""``bnspec stability``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bnspec.cli import CONFORMS, FAILED, Command, positive_number, seed_number

OUTPUT_NAMES = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var", "inference.y", "inference.dx")


def _configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("backend", nargs="+", metavar="BACKEND", help="backends as globs, or package.module:Class")
    add("--device", action="append", default=[], metavar="GLOB", help="devices: cpu, cuda:0, '*' (default: cpu)")
    dtypes = ("float32", "float64", "bfloat16", "float16")
    add("--dtype", action="append", default=[], choices=dtypes, help="dtypes of x (default: all; quick: the first two)")
    add("--output", action="append", default=[], choices=OUTPUT_NAMES, help="outputs (default: all)")
    add(
        "--threads",
        action="append",
        default=[],
        type=positive_number,
        metavar="N",
        help="threads of a worker; may repeat",
    )
    add("--seed", type=seed_number, default=1, help="the same seed gives the same data everywhere (default: 1)")
    add("--effort", choices=("quick", "default", "standard"), default="default", help="standard: every layout too, one "
        "thread and all")  # fmt: skip
    add("--quick", action="store_const", const="quick", dest="effort", help="the same as --effort quick")
    add("--out", type=Path, metavar="DIR", help="run directory to write (default: runs/<id>)")
    add("--json", action="store_true", help="print one JSON document with all points instead of the table")


def _run(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json

    from bnspec.conformance.stability.run import Request
    from bnspec.conformance.stability.write import write_study
    from bnspec.reports.tables.run import terminal
    from bnspec.reports.tables.stability import print_stability

    request = Request(
        arguments.backend,
        arguments.device,
        arguments.dtype,
        arguments.output or OUTPUT_NAMES,
        tuple(arguments.threads),
        arguments.seed,
        arguments.effort,
        arguments.command_line,
    )
    done, run = write_study(request, arguments.out, quiet=arguments.json)
    if arguments.json:
        print(json.dumps(done.to_json(), indent=1, allow_nan=False))
    else:
        console = terminal()
        print_stability(run.stability_curves, run.not_measured, run.reaches, console)
        console.print(f"\n{run.path}", highlight=False, markup=False, soft_wrap=True)
    return CONFORMS if done.measured else FAILED


STABILITY = Command(
    help="Measure how the error of backends grows with kappa = |mean| / std (class 0, 1 or 2, and the kappa at which half of "
    "the digits are gone) and with the count. It measures and does not judge: exit status 0 when done, 3 when nothing could "
    "be measured. bnspec report draws the curves.",
    example="bnspec stability 'torch.*' numpy --dtype float32 --output y --out runs/stability",
    configure=_configure,
    run=_run,
)
