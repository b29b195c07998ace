"""``bnspec bisect``."""

from __future__ import annotations

from pathlib import Path

import click

from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.options import JSON, SEED, Number, command


@command(
    "bisect",
    summary="find the first release of a package in which an answer changed",
    example="bnspec bisect 'jax>=0.4.13' --clause gradient.forward_agrees --backend jax.numpy",
    params=[
        click.Argument(["package"], metavar="PACKAGE", help="A package with its range of releases: 'jax>=0.4.13'; without one, those that its backends are written for. What follows, as in 'flax>=0.8,jax==0.4.30;python=3.11', holds for all."),
        click.Option(["--clause"], metavar="CLAUSE", help="Ask whether this clause holds."),
        click.Option(["--case"], type=Path, metavar="FILE", help="Ask which clauses this saved case breaks; with --clause, whether it breaks that one; with --slower, time its last step."),
        click.Option(["--convention"], metavar="NAME", help="Ask what experiments find of this convention."),
        click.Option(["--slower"], type=Number(1.01, 1000.0), metavar="FACTOR", help="Ask whether a training step takes FACTOR times as long as in the oldest release."),
        click.Option(["--backend"], metavar="B", show_default="the first of the package", help="The backend to ask, or an own adapter."),
        click.Option(["--device"], default="cpu", metavar="D", help="The device: cpu, cuda:0, ..."),
        click.Option(["--odd"], is_flag=True, help="Take pre-releases and yanked releases, too."),
        SEED,
        JSON,
    ],
)  # fmt: skip
def bisect(
    command_line: str,
    package: str,
    clause: str | None,
    case: Path | None,
    convention: str | None,
    slower: float | None,
    backend: str | None,
    device: str,
    odd: bool,
    seed: int,
    as_json: bool,
) -> int:
    """Find the first release that answers another way than the oldest, by halving; each answer is repeated until it is sure.

    Releases that cannot be built are stepped over and said, and so are answers that do not fit one change. Then the packages
    that changed with it are held at their former versions, where the resolver allows it.

    Exit status 0: one change was found; 1: none, or more than one; 3: fewer than two releases have an answer.
    """
    from bnspec.backends.harness.interruption import stoppable
    from bnspec.conformance.bisection.asked import question_asked
    from bnspec.conformance.bisection.bisect import bisect as search
    from bnspec.conformance.bisection.environments import backend_of, builder, range_of
    from bnspec.conformance.bisection.table import print_bisection
    from bnspec.terminal.console import print_json, terminal
    from bnspec.terminal.progress import Progress

    asked = question_asked(clause, case, convention, slower, seed)
    searched = range_of(package, odd)
    entry = backend_of(searched.package, backend)
    with stoppable(), Progress(as_json) as progress:
        done = search(
            searched.package,
            searched.releases,
            asked,
            builder(entry, device, searched.specs[0]),
            lambda release, doing: progress.update(f"{searched.package} {release}", doing),
            searched.extras,
        )
    if as_json:
        print_json({"backend": entry.name, "device": device, **done.to_json()})
    else:
        print_bisection(done, terminal())
    if done.found.first is not None:
        return CONFORMS if done.found.monotonic else DEVIATES
    return DEVIATES if done.enough else FAILED
