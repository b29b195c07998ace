"""The causes of mutants, and the share that is right.

python -m bnspec.conformance.selftest.grouping                         # of every mutant
python -m bnspec.conformance.selftest.grouping 'epsilon_*'             # of these
python -m bnspec.conformance.selftest.grouping --sample 44 --seed 44   # of 44 drawn by lot
"""

from __future__ import annotations

import random

import click

from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.selftest.catalogue.catalogue import select
from bnspec.conformance.selftest.grouping.grouping import causes_of_layer
from bnspec.oracle.oracle import Oracle
from bnspec.terminal.console import line, terminal


@click.command()
@click.argument("patterns", nargs=-1, metavar="[GLOB]...")
@click.option("--sample", type=click.IntRange(1), help="how many are drawn by lot; all without it")
@click.option("--seed", type=int, default=1, show_default=True, help="of the lot, which draws from their sorted names")
def main(patterns: tuple[str, ...], sample: int | None, seed: int) -> None:
    """Show a line for each mutant that can run in this process, then the share with one cause of the right family."""
    cases = {case: Oracle(case) for case in cases_of("quick", 1)}
    mutants = [p for p in select(list(patterns), "mutant") if not p.implementation.isolated and not p.escapes]
    if sample is not None:
        drawn = set(random.Random(seed).sample(sorted(p.name for p in mutants), min(sample, len(mutants))))
        mutants = [p for p in mutants if p.name in drawn]
    one = right = described = found = 0
    console = terminal()
    for entry in mutants:
        applying = {c: o for c, o in cases.items() if entry.applies_to(c)}
        grouped = causes_of_layer(entry.adapter_class()("cpu"), applying, entry.name, shrink_seconds=0.5)
        named = grouped.named
        found += bool(named)
        one += len(named) == 1
        right += grouped.names(entry)
        described += grouped.describes(entry)
        mark = "ok" if grouped.names(entry) else "- " if grouped.describes(entry) else "--"
        line(
            console, f"{mark} {entry.name} ({entry.family}): {len(named)} causes behind {len(grouped.findings)} clauses"
        )
        for cause in named if mark != "ok" else ():
            needs = "; ".join(f"{c.feature} {c.value}" for c in cause.conditions) or "nothing in particular"
            line(console, f"     {cause.clause} [{needs}] also {', '.join(cause.also)} {cause.cut}")
    line(
        console,
        f"{one} of {found} mutants that are found have one cause, {right} of the right family, "
        f"{described} of it or with conditions that say the same",
    )


if __name__ == "__main__":
    main()
