"""``bnspec bench``, ``bnspec calibrate`` and ``bnspec cheats``: timings whose own outputs are judged, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.options import BACKEND, DEVICE, JSON, LIMITS, NAMED, RESUME, RUN_DIRECTORY, SEED, Number, command, many

if TYPE_CHECKING:
    from bnspec.benchmarks.run.bench import BenchRequest
    from bnspec.benchmarks.timing.conditions import Allocation
    from bnspec.model.vocabulary import CacheState, TimedMode
    from bnspec.reports.run.store import Run

#: For each suite: seconds for a workload in a process, rounds (least, most), minutes after which no round begins.
PACES: dict[str, tuple[float, int, int, float | None]] = {
    "short": (0.3, 4, 8, 2.7),
    "standard": (0.5, 4, 12, 30.0),
    "full": (0.5, 4, 8, None),
    "device": (0.3, 3, 8, 10.0),
}
SUITE = click.Choice(sorted(PACES))
#: calibrate and cheats time one backend unless they are asked for more.
TIMED = many("--backend", metavar="GLOB", help="Select backends by name or glob. Repeatable.", all="numpy")


def _seconds(default: float | None) -> click.Option:
    return click.Option(
        ["--seconds"],
        type=Number(1e-4, 3600.0),
        default=default,
        metavar="S",
        help="Seconds of samples of a workload in a process.",
        show_default="0.3 to 0.5, by suite" if default is None else True,
    )


@command(
    "bench",
    summary="time backends; each time has the verdict of its own outputs",
    example="bnspec bench --backend 'torch.*' --pass training\n"
    "bnspec bench --backend torch.nn --threads 1 --threads 2 --cache cold",
    params=[
        NAMED,
        BACKEND,
        DEVICE,
        click.Option(["--suite"], type=SUITE, default="short", help="Workloads to time; short takes less than 3 minutes."),
        click.Option(["--quick", "suite"], flag_value="short", help="Same as --suite short."),
        many("--pass", "passes", metavar="P", help="Select passes, e.g. training or inference. Repeatable."),
        many("--model", metavar="GLOB", help="Time the layers of these models instead, e.g. resnet50. Repeatable.", all=""),
        many("--threads", type=Number(1, 4096), metavar="N", help="Bind to N processors. Repeatable.", all=""),
        many("--allocation", metavar="A", help="Where results go: default, fresh or preallocated. Repeatable.", all="default"),
        many("--cache", metavar="C", help="State of the cache: hot or cold. Repeatable.", all="hot"),
        many("--mode", metavar="M", help="How calls are made: call or graph (CUDA graphs). Repeatable.", all="call"),
        click.Option(["--baseline"], default="", metavar="NAME", show_default="the first", help="Compare the other contenders with this one."),
        _seconds(None),
        click.Option(["--rounds"], type=Number(1, 1000), metavar="N", help="Run exactly N processes of each contender."),
        click.Option(["--minutes"], type=Number(0.01, 1e5), metavar="M", help="Begin no round after M minutes."),
        click.Option(["--resolution"], type=Number(1e-4, 10.0), default=0.03, metavar="R", help="Stop when the relative half-width of the intervals is R."),
        click.Option(["--margin"], type=Number(1e-4, 10.0), default=0.05, metavar="M", help="Relative difference up to which two contenders are the SAME."),
        SEED,
        RUN_DIRECTORY,
        RESUME,
        *LIMITS,
        JSON,
    ],
)  # fmt: skip
def bench(
    command_line: str,
    named: Sequence[str],
    backend: Sequence[str],
    device: Sequence[str],
    suite: str,
    passes: Sequence[str],
    model: Sequence[str],
    threads: Sequence[int],
    allocation: Sequence[Allocation],
    cache: Sequence[CacheState],
    mode: Sequence[TimedMode],
    baseline: str,
    seconds: float | None,
    rounds: int | None,
    minutes: float | None,
    resolution: float,
    margin: float,
    seed: int,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
    **limits: float | None,
) -> int:
    """Time backends on the same inputs, and judge the outputs of the timed calls.

    The unit of replication is the process: each round opens every contender once, in random order, until the intervals are
    narrow enough or the time is over. Exit status 0: all outputs conform; 1: some deviate, or a probe finds that a backend
    did not do the work.
    """
    from bnspec.backends.harness.limits import Limits
    from bnspec.benchmarks.run.bench import BenchRequest
    from bnspec.benchmarks.run.bench import bench as run_bench
    from bnspec.benchmarks.timing.conditions import combinations
    from bnspec.errors import HarnessError

    usual, least, most, limit = PACES[suite]
    request = BenchRequest(
        backends=(*named, *backend),
        devices=device,
        passes=passes,
        models=model,
        suite=suite,
        conditions=combinations(threads, allocation, cache, mode),
        baseline=baseline,
        seconds=seconds or usual,
        least=rounds or least,
        most=rounds or most,
        minutes=minutes or (None if rounds else limit),
        resolution=resolution,
        margin=margin,
        seed=seed,
        out=out,
        resume=resume,
        limits=Limits.of(limits),
    )
    run, status = run_bench(request, command_line, quiet=as_json)
    _print_bench(run, request, as_json)
    if status == FAILED:
        reasons = sorted({t.message for t in run.timings if t.message})
        raise HarnessError(
            "nothing could be timed.",
            f"{'; '.join(reasons) or 'no reason was given'}.",
            "bnspec backends shows what is ready; choose another --backend, --device or --pass.",
        )
    return status


def _print_bench(run: Run, request: BenchRequest, as_json: bool) -> None:
    """The tables, what models cost and what the calibration says; or one JSON document."""
    from bnspec.benchmarks.run.calibrate import calibrated
    from bnspec.benchmarks.summary import model_cost
    from bnspec.benchmarks.workloads.models import select_models
    from bnspec.benchmarks.workloads.suites import MOST
    from bnspec.reports.summary.cells import cells
    from bnspec.reports.summary.document import run_document
    from bnspec.reports.tables.run import print_run
    from bnspec.terminal.console import print_json

    timed = cells(run.timings)
    models = select_models(request.models) if request.models else ()
    costs = model_cost.costs(timed), model_cost.model_times(timed, models, MOST[request.suite])
    if as_json:
        print_json({**run_document([run]), **model_cost.to_json(*costs)})
    else:
        print_run(run, [*model_cost.lines(*costs), *calibrated(run.manifest.options["calibration"])])


@command(
    "calibrate",
    summary="measure this machine's false alarms and minimum detectable effect",
    example="bnspec calibrate\nbnspec calibrate --backend torch.nn --pairs 8",
    params=[
        TIMED,
        DEVICE,
        click.Option(["--comparisons"], type=Number(2, 100_000), default=200, metavar="N", help="Least number of comparisons of a backend with itself."),
        click.Option(["--pairs"], type=Number(2, 100), default=5, metavar="N", help="Processes on each side of a comparison."),
        _seconds(0.05),
        SEED,
        RUN_DIRECTORY,
        RESUME,
        *LIMITS,
        JSON,
    ],
)  # fmt: skip
def calibrate(
    command_line: str,
    backend: Sequence[str],
    device: Sequence[str],
    comparisons: int,
    pairs: int,
    seconds: float,
    seed: int,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
    **limits: float | None,
) -> int:
    """Measure which differences in time this machine can resolve.

    Backends are compared with themselves, so that every difference found is a false alarm, and with copies of themselves whose
    times are increased by calculation. The result is kept in runs/calibration.json; later runs of bench print it beside their
    verdicts.
    """
    from bnspec.backends.harness.limits import Limits
    from bnspec.benchmarks.run.calibrate import Plan, print_calibration
    from bnspec.benchmarks.run.calibrate import calibrate as run_calibration
    from bnspec.terminal.console import print_json

    plan = Plan(backend or ["numpy"], comparisons, pairs, seconds, seed, out, resume, Limits.of(limits), device)
    calibration, path = run_calibration(plan, command_line, quiet=as_json)
    if as_json:
        print_json({**calibration.to_json(), "run": str(path)})
    else:
        print_calibration(calibration, path)
    return CONFORMS


@command(
    "cheats",
    summary="test the probes on backends that do not do the work they are timed for",
    example="bnspec cheats\nbnspec cheats --backend 'torch.*'",
    params=[TIMED, DEVICE, _seconds(0.05), JSON],
)
def cheats(command_line: str, backend: Sequence[str], device: Sequence[str], seconds: float, as_json: bool) -> int:
    """Time the cheating backends, which are fast because they do not do the work, and honest backends, and print what the probes find.

    Exit status 1: a probe misses its cheating backend, or rejects an honest one.
    """
    from bnspec.benchmarks.run.probe_check import check_probes, print_checks
    from bnspec.terminal.console import print_json

    checks = check_probes(backend or ["numpy"], seconds, quiet=as_json, devices=device)
    if as_json:
        print_json({"checks": [c.to_json() for c in checks]})
    else:
        print_checks(checks)
    return CONFORMS if all(c.right for c in checks) else DEVIATES
