"""``bnspec stability``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bnspec.cli import CONFORMS, FAILED
from bnspec.options import DEVICE, JSON, LIMITS, RESUME, RUN_DIRECTORY, SEED, Number, command, effort, many

DTYPES = ("float32", "float64", "bfloat16", "float16")
OUTPUT_NAMES = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var", "inference.y", "inference.dx")


@command(
    "stability",
    summary="measure how errors grow with |mean| / std and with the count",
    example="bnspec stability 'torch.*' numpy --dtype float32 --output y --out runs/stability",
    params=[
        click.Argument(["backend"], nargs=-1, required=True, help="Backends by name or glob, or package.module:Class."),
        DEVICE,
        many("--dtype", type=click.Choice(DTYPES), help="Dtype of x. Repeatable.", all="all; quick: float32, float64"),
        many("--output", type=click.Choice(OUTPUT_NAMES), help="Output to measure. Repeatable."),
        many("--threads", type=Number(1), metavar="N", help="Threads of a worker, at most one per core. Repeatable.", all=""),
        SEED,
        effort("quick", "default", "standard", default="default", help="standard adds every layout, and one thread beside all."),
        click.Option(["--quick", "effort"], flag_value="quick", help="Same as --effort quick."),
        RUN_DIRECTORY,
        RESUME,
        *LIMITS,
        JSON,
    ],
)  # fmt: skip
def stability(
    command_line: str,
    backend: Sequence[str],
    device: Sequence[str],
    dtype: Sequence[str],
    output: Sequence[str],
    threads: Sequence[int],
    seed: int,
    effort: str,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
    **limits: float | None,
) -> int:
    """Measure how the error of backends grows with kappa = |mean| / std and with the count of values per channel.

    The result is the stability class (0, 1 or 2) and the kappa at which half of the digits are lost. It is measured, not
    judged: exit status 0 when done, 3 when nothing could be measured. bnspec report draws the curves.
    """
    from bnspec.backends.harness.limits import Limits
    from bnspec.conformance.stability.run import StabilityRequest
    from bnspec.conformance.stability.write import write_study
    from bnspec.reports.tables.stability import print_stability
    from bnspec.terminal.console import print_json, terminal, verbatim

    request = StabilityRequest(
        backend, device, dtype, output or OUTPUT_NAMES, tuple(threads), seed, effort, command_line, resume, Limits.of(limits)
    )  # fmt: skip
    done, run = write_study(request, out, quiet=as_json)
    if as_json:
        print_json(done.to_json())
    else:
        console = terminal()
        print_stability(run.stability_curves, run.not_measured, run.reaches, console)
        verbatim(console, f"\n{run.path}")
    return CONFORMS if done.measured else FAILED
