"""``bnspec bench``, ``bnspec calibrate``, ``bnspec cheats``: timings whose own outputs were verified, and what they are worth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bnspec.cli import CONFORMS, DEVIATES, FAILED, Command, seed_number

#: For each suite: seconds for a workload in a process, rounds (least, most), minutes after which no round begins.
PACES: dict[str, tuple[float, int, int, float | None]] = {
    "short": (0.3, 4, 8, 2.7),
    "standard": (0.5, 4, 12, 30.0),
    "full": (0.5, 4, 8, None),
}


def _between(low: float, high: float, kind: Callable[[str], float] = float) -> Callable[[str], float]:
    """A number within limits, for argparse."""

    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


def _configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    many: dict[str, Any] = {"action": "append", "default": [], "metavar": "GLOB"}
    add("--backend", help="backends, or package.module:Class (default: all)", **many)
    add("--device", help="devices: cpu, cuda:0, '*' (default: cpu)", **many)
    add("--suite", choices=sorted(PACES), default="short", help="which workloads (default: short, under 3 minutes)")
    add("--quick", action="store_const", const="short", dest="suite", help="the same as --suite short")
    add("--pass", dest="passes", action="append", default=[], metavar="P", help="passes to time (default: all)")
    add("--model", help="the layers of these models instead, e.g. resnet50", **many)
    one: dict[str, Any] = {"action": "append", "default": []}
    threads = _between(1, 4096, int)
    add("--threads", type=threads, metavar="N", help="processors to bind to; repeatable", **one)
    add("--allocation", metavar="A", help="default, fresh or preallocated; repeatable", **one)
    add("--cache", metavar="C", help="hot or cold; repeatable", **one)
    add("--mode", metavar="M", help="call or graph (CUDA graphs); repeatable", **one)
    add("--baseline", default="", metavar="NAME", help="the contender to compare the others with (default: the first)")
    seconds = _between(1e-4, 3600.0)
    add("--seconds", type=seconds, metavar="S", help="for the samples of a workload in a process")
    add("--rounds", type=_between(1, 1000, int), metavar="N", help="exactly so many processes of each contender")
    add("--minutes", type=_between(0.01, 1e5), metavar="M", help="after which no round begins")
    add(
        "--resolution",
        type=_between(1e-4, 10.0),
        default=0.03,
        metavar="R",
        help="relative half-width of the intervals at which rounds end (default: 0.03)",
    )
    add(
        "--margin",
        type=_between(1e-4, 10.0),
        default=0.05,
        metavar="M",
        help="relative difference up to which two are the SAME (default: 0.05)",
    )
    add("--seed", type=seed_number, default=1, help="of the data and of every order (default: 1)")
    add("--out", type=Path, metavar="DIR", help="run directory to write (default: runs/<id>)")
    add("--json", action="store_true", help="print one JSON document instead of the tables")


def _run(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json

    from bnspec.benchmarks.run.bench import Request, bench
    from bnspec.benchmarks.run.calibrate import calibrated
    from bnspec.benchmarks.summary import model_cost as claims
    from bnspec.benchmarks.timing.conditions import combinations
    from bnspec.benchmarks.workloads.models import select_models
    from bnspec.benchmarks.workloads.suites import MOST
    from bnspec.reports.summary.cells import cells
    from bnspec.reports.summary.document import run_document
    from bnspec.reports.tables.run import print_summary, terminal

    seconds, least, most, minutes = PACES[arguments.suite]
    rounds = int(arguments.rounds) if arguments.rounds else 0
    request = Request(
        backends=arguments.backend,
        devices=arguments.device,
        passes=arguments.passes,
        models=arguments.model,
        suite=arguments.suite,
        conditions=combinations(
            [int(n) for n in arguments.threads], arguments.allocation, arguments.cache, arguments.mode
        ),
        baseline=arguments.baseline,
        seconds=arguments.seconds or seconds,
        least=rounds or least,
        most=rounds or most,
        minutes=arguments.minutes or (None if rounds else minutes),
        resolution=arguments.resolution,
        margin=arguments.margin,
        seed=arguments.seed,
        out=arguments.out,
    )
    run, status = bench(request, arguments.command_line, quiet=arguments.json)
    timed = cells(run.timings)
    models = select_models(arguments.model) if arguments.model else ()
    found = claims.costs(timed), claims.model_times(timed, models, MOST[arguments.suite])
    if arguments.json:
        print(json.dumps({**run_document([run]), **claims.to_json(*found)}, indent=1, allow_nan=False))
    else:
        console = terminal()
        print_summary(run, console)
        for line in [*claims.lines(*found), *calibrated(run.manifest.options["calibration"])]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        console.print(f"\n{run.path}", highlight=False, markup=False, soft_wrap=True)
    if status == FAILED:
        reasons = sorted({t.message for t in run.timings if t.message})
        sys.stderr.write(
            f"bnspec bench: nothing could be timed.\n  Why:  {'; '.join(reasons) or 'no reason was given'}.\n"
        )
        sys.stderr.write("  Fix:  bnspec backends shows what is ready; choose another --backend, --device or --pass.\n")
    return status


BENCH = Command(
    help="Time backends on the same inputs. Fresh processes are the unit of replication: rounds open every contender once, in random order, "
    "until the intervals are narrow enough or the time is over. Every row carries the verdict of the outputs that were timed: "
    "exit status 0 when all conform, 1 when some deviate or a probe shows that the work was not done.",
    example="bnspec bench --backend 'torch.*' --pass training\nbnspec bench --backend torch.nn --threads 1 --threads 2 --cache cold",
    configure=_configure,
    run=_run,
)


def _configure_calibrate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--backend",
        action="append",
        default=[],
        metavar="GLOB",
        help="backends to compare with themselves (default: numpy)",
    )
    add(
        "--comparisons",
        type=_between(2, 1e5, int),
        default=200,
        metavar="N",
        help="of a backend with itself, at least (default: 200)",
    )
    add("--pairs", type=_between(2, 100, int), default=5, metavar="N", help="processes of each side (default: 5)")
    add("--seconds", type=_between(1e-4, 3600.0), default=0.05, metavar="S", help="for the samples of a workload")
    add("--seed", type=seed_number, default=1, help="of the data and of every order (default: 1)")
    add("--out", type=Path, metavar="DIR", help="run directory to write, raw samples included (default: runs/<id>)")
    add("--json", action="store_true", help="print one JSON document instead of the table")


def _run_calibrate(arguments: argparse.Namespace) -> int:
    import json

    from bnspec.benchmarks.run.calibrate import Plan, calibrate, print_calibration

    plan = Plan(
        arguments.backend or ["numpy"],
        int(arguments.comparisons),
        int(arguments.pairs),
        arguments.seconds,
        arguments.seed,
        arguments.out,
    )
    calibration, path = calibrate(plan, arguments.command_line, quiet=arguments.json)
    if arguments.json:
        print(json.dumps({**calibration.to_json(), "run": str(path)}, indent=1, allow_nan=False))
    else:
        print_calibration(calibration, path)
    return CONFORMS


CALIBRATE = Command(
    help="Measure the false alarms and the minimum detectable effect of this machine: backends are compared with themselves, so that every difference found is a false alarm, "
    "and with copies of themselves that are slowed by calculation. The figures are kept in runs/calibration.json, and every later "
    "bench prints them beside its verdicts.",
    example="bnspec calibrate\nbnspec calibrate --backend torch.nn --pairs 8",
    configure=_configure_calibrate,
    run=_run_calibrate,
)


def _configure_cheats(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--backend", action="append", default=[], metavar="GLOB", help="honest backends to probe, too (default: numpy)")
    add("--seconds", type=_between(1e-4, 3600.0), default=0.05, metavar="S", help="for the samples of a workload")
    add("--json", action="store_true", help="print one JSON document instead of the table")


def _run_cheats(arguments: argparse.Namespace) -> int:
    import json

    from bnspec.benchmarks.run.probe_check import check_probes, print_checks

    checks = check_probes(arguments.backend or ["numpy"], arguments.seconds)
    if arguments.json:
        print(json.dumps({"checks": [c.to_json() for c in checks]}, indent=1, allow_nan=False))
    else:
        print_checks(checks)
    return CONFORMS if all(c.right for c in checks) else DEVIATES


CHEATS = Command(
    help="Check the probes: on cheating backends, which are fast because they do not do the work, and on honest ones, "
    "which no probe may reject. Exit status 1: a cheat gets through, or an honest backend is rejected.",
    example="bnspec cheats\nbnspec cheats --backend 'torch.*'",
    configure=_configure_cheats,
    run=_run_cheats,
)
