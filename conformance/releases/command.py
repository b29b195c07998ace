"""``bnspec releases``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnspec.options import (
    BACKEND,
    CLAUSE,
    DEVICE,
    JOBS,
    JSON,
    LIMITS,
    RESUME,
    RUN_DIRECTORY,
    SEED,
    Number,
    command,
    effort,
)

if TYPE_CHECKING:
    from bnspec.conformance.cases.effort import EffortName


@command(
    "releases",
    summary="judge several releases of a framework side by side, each in an environment of its own",
    example="bnspec releases 'jax==0.4.20' 'jax==0.6.2' jax\nbnspec releases 'jax>=0.4.20' --every minor --newest 4 --conventions",
    params=[
        click.Argument(["spec"], nargs=-1, required=True, help="A release, jax==0.4.20; the newest one, jax; or a range, jax>=0.4.13, of which the options say what is taken. More requirements, a Python and a date may follow: 'flax==0.10.2,jax==0.4.35;python=3.11;before=2025-01-01'."),
        click.Option(["--every"], type=click.Choice(("minor", "patch")), help="Of a range: the last patch of every minor release, or all."),
        click.Option(["--newest"], type=Number(1, 1000), metavar="N", help="Of a range: the N newest."),
        click.Option(["--dates"], metavar="A..B", help="Of a range: those that appeared from A to B, as 2024-01..2026-11."),
        click.Option(["--odd"], is_flag=True, help="Take pre-releases and yanked releases, too."),
        BACKEND,
        DEVICE,
        CLAUSE,
        effort("device", "quick", "standard", default="quick", help="Number of generated cases; device: as few as ask every clause."),
        SEED,
        JOBS,
        click.Option(["--conventions"], is_flag=True, help="Infer the conventions of every release, too."),
        click.Option(["--stability"], is_flag=True, help="Measure the stability class of every release, too."),
        click.Option(["--bench"], is_flag=True, help="Time every release, too, with NumPy as the control, into a run of its own beside this one."),
        RUN_DIRECTORY,
        RESUME,
        *LIMITS,
        JSON,
    ],
)  # fmt: skip
def releases(
    command_line: str,
    spec: Sequence[str],
    every: str | None,
    newest: int | None,
    dates: str | None,
    odd: bool,
    backend: Sequence[str],
    device: Sequence[str],
    clause: Sequence[str],
    effort: EffortName,
    seed: int,
    jobs: int,
    conventions: bool,
    stability: bool,
    bench: bool,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
    **limits: float | None,
) -> int:
    """Judge every backend of a package in several of its releases: the same cases and seeds, side by side in one run.

    Each release gets an environment, with companions of its time; it is built once and kept (bnspec environments list). A
    backend that a release does not have is absent in it, with the reason. Exit status: that of bnspec verify; a release that
    cannot be had or opened does not change it.
    """
    from bnspec.backends.harness.limits import Limits
    from bnspec.conformance.releases.releases import Asked, bench_releases, verify_releases
    from bnspec.conformance.releases.selection import choice_of
    from bnspec.conformance.releases.table import print_releases, rows
    from bnspec.reports.run.resume import refuse_both
    from bnspec.reports.summary.document import run_document
    from bnspec.reports.tables.run import print_run
    from bnspec.terminal.console import print_json

    refuse_both(out, resume)
    asked = Asked(
        spec, choice_of(every, newest, dates, odd), backend, device, clause, effort, seed, jobs, out, resume,
        Limits.of(limits), conventions, stability,
    )  # fmt: skip
    done = verify_releases(asked, command_line, quiet=as_json)
    if as_json:
        print_json({**run_document([done.run]), "releases": rows(done.run, done.entries)})
    else:
        print_run(done.run)
        print_releases(done.run, done.entries)
    return max(done.status, bench_releases(done, asked)) if bench else done.status
