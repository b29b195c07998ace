"""``bnspec plan``: a verify call as units for machines that share the work, as data, for Slurm or for Kubernetes."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from bnspec.cli import CONFORMS
from bnspec.conformance.cluster.options import LABELLED, NAME, SHARDS, UNIT_PYTHON, Form
from bnspec.conformance.command import verify
from bnspec.options import JSON, LIMIT_NAMES, Number, command, folder

#: The options of ``bnspec verify`` that say what is judged; where and how it runs is the plan's.
JUDGED = (
    "backend",
    "device",
    "clause",
    "effort",
    "seed",
    "jobs",
    "may_be_absent",
    "no_compilation_cache",
    *LIMIT_NAMES,
)


@command(
    "plan",
    summary="divide a verify call into units: as data, for Slurm, for Kubernetes",
    example="bnspec plan --backend numpy --shards 8 --as slurm --out plans/mine\n"
    "bnspec plan --backend numpy --from runs/mine --workers 64",
    params=[
        *(p for p in verify.params if p.name in JUDGED),
        SHARDS,
        LABELLED,
        click.Option(["--as", "form"], type=click.Choice(("json", "slurm", "kubernetes")), default="json", help="What is written besides plan.json: nothing, or what an engine takes."),
        folder("--out", help="Write the plan here, where all machines find it under this path; without it, the plan is only described."),
        UNIT_PYTHON,
        click.Option(["--image"], metavar="IMAGE", help="With --as kubernetes: an image that has bnspec and the frameworks."),
        click.Option(["--claim"], metavar="NAME", type=Form("claim", NAME, "a name of Kubernetes"), help="With --as kubernetes: the claim of a volume that all pods share."),
        folder("--from", "recorded", help="Simulate the plan with the times of this run, and choose --shards by them."),
        click.Option(["--workers"], type=Number(1, 100_000), default=64, metavar="N", help="With --from: units that run at a time."),
        JSON,
    ],
)  # fmt: skip
def plan(
    command_line: str,
    shards: int | None,
    label: str | None,
    form: str,
    out: Path | None,
    unit_python: str | None,
    image: str | None,
    claim: str | None,
    recorded: Path | None,
    workers: int,
    as_json: bool,
    **judged: Any,
) -> int:
    """Divide a verify call into units, one for each target and shard, with the resources that each needs.

    A unit is a call of bnspec verify; plan.json holds all of them. With --as slurm and --as kubernetes the folder has a script
    submit.sh, which submits the units and, after them, the job that makes one run of theirs: DIR/run.
    """
    from bnspec.backends.harness.limits import Limits
    from bnspec.conformance.cluster.plan import PLAN, described, encode_plan, plan_of, write_plan
    from bnspec.conformance.cluster.run import SHARDS as USUAL
    from bnspec.conformance.cluster.schedule import best, recorded_times, simulated
    from bnspec.conformance.run.verify import VerifyRequest
    from bnspec.terminal.console import line, show, table, terminal, verbatim

    limits = {name: judged.pop(name) for name in LIMIT_NAMES}
    request = VerifyRequest(
        judged["backend"], judged["device"], judged["clause"], judged["effort"], judged["seed"], judged["jobs"],
        compilation_cache=not judged["no_compilation_cache"], limits=Limits.of(limits), absent=judged["may_be_absent"],
    )  # fmt: skip
    times = recorded_times(recorded) if recorded is not None else None
    if times is not None and shards is None:
        shards = best(times, workers).shards
    began = time.process_time()
    made = plan_of(request, shards or USUAL, command_line, label, limits["memory_gib"])
    planned = time.process_time() - began
    if out is not None:
        files = _files(form, made, out, unit_python, image, claim)
        write_plan(out, made)
        for name, text in files.items():
            (out / name).write_text(text, "utf-8")
    if as_json:
        sys.stdout.buffer.write(encode_plan(made))
        return CONFORMS
    console = terminal()
    listed = table(console, "units", "count", "each asks for", right=("count",))
    for units in made.groups():
        listed.add_row(f"{units[0].number} to {units[-1].number}", str(len(units)), described(units))
    show(console, listed)
    if times is not None:
        line(console, str(simulated(times, made.shards, workers)))
        line(
            console, f"Planning took {planned:.3g} s of processor time, {planned / times.total:.2%} of that of the run."
        )
    if out is not None:
        verbatim(console, f"{out / PLAN}" if form == "json" else f"bash {shlex.quote(os.fspath(out / 'submit.sh'))}")
    return CONFORMS


def _files(form: str, plan: Any, out: Path, python: str | None, image: str | None, claim: str | None) -> dict[str, str]:
    """The files of an engine. Raises UsageError: Kubernetes needs an image and a claim."""
    from bnspec.conformance.cluster import kubernetes, slurm
    from bnspec.errors import UsageError

    if form == "json":
        return {}
    if form == "slurm":
        return slurm.scripts(plan, out, python or sys.executable)
    if image is None or claim is None:
        raise UsageError(
            "--as kubernetes needs --image and --claim.",
            "pods are made of an image, and write their runs to a volume that all of them share.",
            "give --image NAME --claim NAME.",
        )
    if not NAME.fullmatch(out.name):
        raise UsageError(
            f"{out.name!r} is no name of Kubernetes.",
            "Jobs are named after the folder.",
            "use small letters, digits and -.",
        )
    return kubernetes.manifests(plan, kubernetes.Pods(out.name, image, claim, python or "python3"))
