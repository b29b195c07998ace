"""``bnspec bisect``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.options import JSON, SEED, Number, command, many


@command(
    "bisect",
    summary="find the first release of a package in which an answer changed",
    example="bnspec bisect 'jax>=0.4.13' --clause gradient.forward_agrees --backend jax.numpy",
    params=[
        click.Argument(["package"], metavar="PACKAGE", help="A package with its range of releases: 'jax>=0.4.13'."),
        click.Option(["--clause"], metavar="CLAUSE", help="Ask whether this clause holds."),
        click.Option(["--case"], type=Path, metavar="FILE", help="Ask which clauses this saved case breaks; with --clause, whether it breaks that one; with --slower, time its last step."),
        click.Option(["--convention"], metavar="NAME", help="Ask what experiments find of this convention."),
        click.Option(["--slower"], type=Number(1.01, 1000.0), metavar="FACTOR", help="Ask whether a training step takes FACTOR times as long as in the oldest release."),
        click.Option(["--backend"], metavar="B", show_default="the first of the package", help="The backend to ask, or an own adapter."),
        click.Option(["--device"], default="cpu", metavar="D", help="The device: cpu, cuda:0, ..."),
        many("--with", "others", metavar="REQUIREMENT", help="Install this too, in every environment. Repeatable.", all="none"),
        click.Option(["--pre"], is_flag=True, help="Include pre-releases."),
        click.Option(["--yanked"], is_flag=True, help="Include yanked releases."),
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
    others: Sequence[str],
    pre: bool,
    yanked: bool,
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
    from bnspec.conformance.bisection.environments import backend_of, builder, ordered, requirement_of
    from bnspec.conformance.bisection.table import print_bisection
    from bnspec.terminal.console import print_json, terminal
    from bnspec.terminal.progress import Progress

    asked = question_asked(clause, case, convention, slower, seed)
    requirement = requirement_of(package)
    extra = [str(requirement_of(text)) for text in others]
    entry = backend_of(requirement.name, backend)
    releases = ordered(requirement, pre, yanked)
    with stoppable(), Progress(as_json) as progress:
        done = search(
            requirement.name,
            releases,
            asked,
            builder(entry, device, extra),
            lambda release, doing: progress.update(f"{requirement.name} {release}", doing),
        )
    if as_json:
        print_json(done.to_json())
    else:
        print_bisection(done, terminal())
    if done.found.first is not None:
        return CONFORMS if done.found.monotonic else DEVIATES
    return DEVIATES if done.enough else FAILED
