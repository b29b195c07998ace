"""``bnspec releases`` and ``bnspec watch``."""

from __future__ import annotations

import sys
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
    many,
)

if TYPE_CHECKING:
    from bnspec.conformance.cases.effort import EffortName


@command(
    "releases",
    summary="judge several releases of a framework side by side",
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


@command(
    "watch",
    summary="judge the newest release of a package and compare it with the last",
    example="bnspec watch jax --state jax.txt --fail-on must",
    params=[
        click.Argument(["package"], help="The package, as the index names it."),
        click.Option(["--last"], metavar="RELEASE", help="Compare with this release.", show_default="the one in --state, else the one before the newest"),
        click.Option(["--state"], type=Path, metavar="FILE", help="Keep here which release was looked at last; where it is the newest, nothing is run."),
        many("--fail-on", metavar="POLICY", help="Exit with status 1 on a regression: must, should, bits. Repeatable.", all="must"),
        BACKEND,
        DEVICE,
        CLAUSE,
        effort("device", "quick", "standard", default="quick", help="Number of generated cases; device: as few as ask every clause."),
        SEED,
        JOBS,
        RUN_DIRECTORY,
        *LIMITS,
        JSON,
    ],
)  # fmt: skip
def watch(
    command_line: str,
    package: str,
    last: str | None,
    state: Path | None,
    fail_on: Sequence[str],
    backend: Sequence[str],
    device: Sequence[str],
    clause: Sequence[str],
    effort: EffortName,
    seed: int,
    jobs: int,
    out: Path | None,
    as_json: bool,
    **limits: float | None,
) -> int:
    """Judge the newest release of a package beside the one looked at last, and print what changed, as Markdown.

    In a job of GitHub's the same is added to its summary. Exit status 0: nothing new, or no regression; 1: a regression by
    --fail-on, which is what verify calls deviations only where they are new; 3: nothing was compared.
    """
    from bnspec.backends.harness.limits import Limits
    from bnspec.cli import CONFORMS, DEVIATES, FAILED
    from bnspec.conformance.releases.releases import Asked, verify_releases
    from bnspec.conformance.releases.watch import read_state, watched, write_state, write_summary
    from bnspec.reports.compare.comparison import compare_successive
    from bnspec.reports.compare.document import comparison_document
    from bnspec.reports.compare.markdown import markdown
    from bnspec.reports.compare.operands import Operand
    from bnspec.reports.compare.policy import idle, read_policies, regressions
    from bnspec.terminal.console import line, print_json, terminal

    policies = read_policies(fail_on)
    known = last if last is not None or state is None else read_state(state)
    pair = watched(package, known)
    if not pair.specs:
        if as_json:
            print_json({"package": pair.package, "last": pair.last, "newest": pair.newest, "comparison": None})
        else:
            line(terminal(), f"{pair.package} {pair.newest} is the newest release, and was looked at")
        return CONFORMS
    asked = Asked(
        pair.specs, backends=backend, devices=device, clauses=clause, effort=effort, seed=seed, jobs=jobs, out=out,
        limits=Limits.of(limits),
    )  # fmt: skip
    done = verify_releases(asked, command_line, quiet=True)
    found = compare_successive(Operand(done.run))
    text = f"## {pair.package} {pair.last} → {pair.newest}\n\n{markdown(found, policies)}"
    if as_json:
        said = comparison_document(found, policies)
        print_json({"package": pair.package, "last": pair.last, "newest": pair.newest, "comparison": said})
    else:
        sys.stdout.write(text)
    write_summary(text)
    if idle(found, policies) and not regressions(found, policies):
        return FAILED
    if state is not None:
        write_state(state, pair.newest)
    return DEVIATES if regressions(found, policies) else CONFORMS
