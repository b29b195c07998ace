"""``bnspec judge``."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnspec.backends.kernels.harness.forms import LIBRARIES, ONNX, STABLEHLO, listed
from bnspec.options import CLAUSE, JOBS, JSON, RUN_DIRECTORY, Number, command, effort, limits

if TYPE_CHECKING:
    from bnspec.conformance.cases.effort import EffortName

SEEDS = 1_000_000


@command(
    "judge",
    summary="judge a kernel as it comes: no adapter is written",
    example="bnspec judge examples/kernels/numpy_kernel.py::run\nbnspec judge model.py::ModelNew --json",
    params=[
        click.Argument(["kernel"], help=f"FILE or FILE::NAME: a function or a torch.nn.Module in a .py, a function in a {listed(*LIBRARIES, last='or')} with its header, an {listed(*ONNX, last='or')}, a {listed(*STABLEHLO, last='or')}, or a solution.json."),
        click.Option(["--device"], default="cpu", metavar="D", help="The device: cpu, cuda:0, ..."),
        CLAUSE,
        effort("quick", "standard", default="quick", help="Number of generated cases."),
        click.Option(["--seed", "chosen"], type=Number(0, SEEDS - 1), metavar="N", help="Repeat a judgement: the seed that it printed.", show_default="a new one, drawn in secret"),
        JOBS,
        RUN_DIRECTORY,
        *limits("50; of Triton and Pallas 90, of what compiles 180", "30; of these 60"),
        JSON,
    ],
)  # fmt: skip
def judge(
    command_line: str,
    kernel: str,
    device: str,
    clause: Sequence[str],
    effort: EffortName,
    chosen: int | None,
    jobs: int,
    out: Path | None,
    as_json: bool,
    **limited: float | None,
) -> int:
    """Judge a kernel in the form it was written in: its conventions are inferred by experiment, and it is judged by them.

    Prints one line: A (every MUST and SHOULD that was asked conforms), B (every MUST does) or F, with the smallest case that breaks
    a clause. Exit status 0: A or B; 1: F, a MUST is broken, a case that it offers had no result, or the timed calls did not do the
    work; 2: the call is wrong, or nothing could be judged: the kernel does not load, raises, ends or hangs whenever it is called, or
    offers none of what is asked; 3: the harness could not do its work, as on a full disk; 128 + N: signal N stopped it. The kernel
    is executed, in a process of its own.
    """
    from bnspec.conformance.kernels.judge import JudgeRequest, limits_for, refuse_unjudged
    from bnspec.conformance.kernels.judge import judge as run_judge
    from bnspec.conformance.kernels.table import print_verdict
    from bnspec.conformance.kernels.verdict import document
    from bnspec.reports.run.store import refuse_occupied
    from bnspec.terminal.console import print_json

    refuse_occupied(out)
    seed = secrets.randbelow(SEEDS) if chosen is None else int(chosen)
    request = JudgeRequest(kernel, seed, device, effort, jobs, clause, out, limits_for(kernel, limited))
    verdict = run_judge(request, command_line, quiet=as_json)
    refuse_unjudged(verdict, clause)
    if as_json:
        print_json(document(verdict))
    else:
        print_verdict(verdict)
    return verdict.status
