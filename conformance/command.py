"""``bnspec verify``, ``bnspec mutants`` and ``bnspec explain``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bnspec.cli import CONFORMS, Command


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 10**6:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 999999")
    return number


def _configure_verify(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--backend",
        action="append",
        default=[],
        metavar="GLOB",
        help="backends, or package.module:Class (default: all)",
    )
    add("--device", action="append", default=[], metavar="GLOB", help="devices: cpu, cuda:0, '*' (default: cpu)")
    add("--clause", action="append", default=[], metavar="GLOB", help="clauses or families (default: all)")
    add("--effort", choices=("quick", "standard", "thorough"), default="quick", help="how many cases (default: quick)")
    add("--minutes", type=float, help="with --effort thorough: go on for so long")
    add("--seed", type=_seed, default=1, help="the same seed gives the same cases everywhere (default: 1)")
    add("--jobs", type=_positive, default=2, help="targets side by side (default: 2)")
    add("--out", type=Path, metavar="DIR", help="run directory to write (default: runs/<id>)")
    add("--resume", type=Path, metavar="DIR", help="go on with a run that was cut short")
    add("--json", action="store_true", help="print one JSON document instead of the summary")


def _verify(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json

    from bnspec.conformance.verification import Request, verify
    from bnspec.reports.document import run_document
    from bnspec.reports.table import print_summary, terminal

    request = Request(
        arguments.backend,
        arguments.device,
        arguments.clause,
        arguments.effort,
        arguments.seed,
        arguments.jobs,
        arguments.minutes,
        arguments.out,
        arguments.resume,
    )
    run, status = verify(request, arguments.command_line, quiet=arguments.json)
    if arguments.json:
        print(json.dumps(run_document([run]), indent=1, allow_nan=False))
        return status
    console = terminal()
    print_summary(run, console)
    console.print(f"\n{run.path}", highlight=False, markup=False, soft_wrap=True)
    return status


VERIFY = Command(
    help="Judge backends by the specification: exit status 0 when all conforms, 1 when something deviates.",
    example="bnspec verify --backend 'torch.*' --clause running --effort standard --seed 7",
    configure=_configure_verify,
    run=_verify,
)


def _configure_mutants(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--name", action="append", default=[], metavar="GLOB", help="mutants and variants to run (default: all)")
    add("--effort", choices=("quick", "standard"), default="quick", help="how many cases (default: quick)")
    add("--seed", type=_seed, default=1, help="seed of the cases (default: 1)")
    add("--jobs", type=_positive, default=2, help="mutants side by side (default: 2)")
    add("--json", action="store_true", help="print one JSON document instead of the table")


def _mutants(arguments: argparse.Namespace) -> int:
    from bnspec.conformance.mutants.matrix import print_matrix

    return print_matrix(arguments.name, arguments.effort, arguments.seed, arguments.jobs, arguments.json)


MUTANTS = Command(
    help="Run the planted defects and the unusual correct variants through the suite: every mutant must be killed, "
    "no variant accused.",
    example="bnspec mutants --name 'epsilon_*'",
    configure=_configure_mutants,
    run=_mutants,
)


def _configure_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clause", nargs="*", metavar="CLAUSE", help="clauses or families (default: a list of all)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _explain(arguments: argparse.Namespace) -> int:
    from bnspec.clauses import select

    clauses = select(arguments.clause)
    if arguments.json:
        import json

        print(json.dumps([c.to_json() for c in clauses], indent=1))
        return CONFORMS
    from bnspec.conformance.explaining import print_clauses

    print_clauses(clauses, in_full=bool(arguments.clause))
    return CONFORMS


EXPLAIN = Command(
    help="Explain clauses of the specification: text, formula, source, what it depends on, what it has caught.",
    example="bnspec explain epsilon.inside_root_in_training",
    configure=_configure_explain,
    run=_explain,
)
