"""``bnspec verify``, ``bnspec mutants``, ``bnspec explain``, ``bnspec repro`` and ``bnspec vectors``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bnspec.cli import CONFORMS, Command, positive_number, seed_number


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
    add("--seed", type=seed_number, default=1, help="the same seed gives the same cases everywhere (default: 1)")
    add("--jobs", type=positive_number, default=2, help="targets side by side (default: 2)")
    add("--out", type=Path, metavar="DIR", help="run directory to write (default: runs/<id>)")
    add(
        "--corpus", type=Path, metavar="DIR", help="found cases to replay first; the smallest of new deviations join it"
    )
    add("--resume", type=Path, metavar="DIR", help="go on with a run that was cut short")
    add("--no-compilation-cache", action="store_true", help="compile everything, and keep nothing of it on disk")
    add("--json", action="store_true", help="print one JSON document instead of the summary")


def _verify(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json

    from bnspec.conformance.run.verify import Request, verify
    from bnspec.reports.summary.document import run_document
    from bnspec.reports.tables.run import print_summary, terminal

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
        arguments.corpus,
        not arguments.no_compilation_cache,
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
    add("--kind", choices=("mutant", "variant"), default="", help="only these (default: both)")
    add("--effort", choices=("quick", "standard"), default="quick", help="how many cases (default: quick)")
    add("--seed", type=seed_number, action="append", default=[], help="seed of the cases; repeatable (default: 1)")
    add("--seeds", type=positive_number, metavar="N", help="the seeds 1 to N")
    add("--until-killed", action="store_true", help="let a mutant go once a clause of its own has killed it")
    add("--jobs", type=positive_number, default=2, help="processes side by side (default: 2)")
    add("--json", action="store_true", help="print one JSON document instead of the table")


def _mutants(arguments: argparse.Namespace) -> int:
    from bnspec.conformance.selftest.matrix.table import print_matrix
    from bnspec.errors import UsageError

    if arguments.seed and arguments.seeds:
        raise UsageError(
            "--seed and --seeds are both given.", "--seeds N stands for the seeds 1 to N.", "give one of them."
        )
    seeds = list(range(1, arguments.seeds + 1)) if arguments.seeds else list(dict.fromkeys(arguments.seed)) or [1]
    a = arguments
    return print_matrix(a.name, a.kind, a.effort, seeds, a.jobs, a.until_killed, a.json)


MUTANTS = Command(
    help="Run the planted defects and the unusual correct variants through the suite. Exit status 1: a mutant is not killed "
    "by a clause that it is named for, or a variant is accused; with several seeds, on any of them.",
    example="bnspec mutants --name 'epsilon_*'\n  bnspec mutants --kind variant --seeds 20",
    configure=_configure_mutants,
    run=_mutants,
)


def _configure_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clause", nargs="*", metavar="CLAUSE", help="clauses or families (default: a list of all)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--markdown", action="store_true", help="print the whole specification: docs/specification.md")


def _explain(arguments: argparse.Namespace) -> int:
    from bnspec.clauses import FAMILIES, select

    clauses = select(arguments.clause)
    if arguments.markdown:
        from bnspec.clauses.document import text

        families = [f for f in FAMILIES if any(c.family == f.name for c in clauses)]
        print(text(clauses, families), end="")
        return CONFORMS
    if arguments.json:
        import json

        print(json.dumps([c.to_json() for c in clauses], indent=1))
        return CONFORMS
    from bnspec.conformance.explain import print_clauses

    print_clauses(clauses, in_full=bool(arguments.clause))
    return CONFORMS


EXPLAIN = Command(
    help="Explain clauses of the specification: text, formula, source, what it depends on, what it has caught.",
    example="bnspec explain epsilon.inside_root_in_training",
    configure=_configure_explain,
    run=_explain,
)


def _configure_repro(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("finding", metavar="FINDING", help="a run directory for all its deviations, or one as RUN:CLAUSE@BACKEND")
    add("--clause", action="append", default=[], metavar="GLOB", help="clauses or families (default: all that deviate)")
    add("--backend", action="append", default=[], metavar="GLOB", help="backends (default: all that deviate)")
    add("--out", type=Path, metavar="DIR", help="where to write BACKEND--CLAUSE.py (default: RUN/repros)")
    add("--run", action="store_true", help="run each script too, in a process of its own, and say what it reproduced")
    add("--jobs", type=positive_number, default=2, help="scripts run side by side (default: 2)")
    add("--json", action="store_true", help="print one JSON document instead of the table")


def _repro(arguments: argparse.Namespace) -> int:
    import json

    from bnspec.conformance.repro.scripts import exit_status, parse, repros, run_all, write
    from bnspec.conformance.repro.table import print_repros

    request = parse(arguments.finding, arguments.clause, arguments.backend)
    made = repros(request)
    if request.named and len(made) == 1 and not (arguments.out or arguments.run or arguments.json):
        print(made[0].text, end="")
        return CONFORMS
    made = write(made, arguments.out or request.run / "repros")
    if arguments.run:
        made = run_all(made, arguments.jobs)
    if arguments.json:
        print(json.dumps({"run": str(request.run), "repros": [r.to_json() for r in made]}, indent=1, allow_nan=False))
    else:
        print_repros(made)
    return exit_status(made)


REPRO = Command(
    help="Write deviations as scripts of at most 15 lines that need only the framework and NumPy. A script exits with 1 on "
    "the deviation and with 0 where it no longer happens. One named as RUN:CLAUSE@BACKEND is printed, unless --out or "
    "--run is given. Exit status 1: some finding has no script, or one that was run did not reproduce it.",
    example="bnspec repro runs/mine --backend 'torch.*' --run\n  bnspec repro runs/mine:running.var@torch.nn > repro.py",
    configure=_configure_repro,
    run=_repro,
)


def _configure_vectors(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, metavar="DIR", required=True, help="a folder that is empty or does not exist yet")
    add("--family", action="append", default=[], metavar="NAME", help="families to write (default: all)")
    add("--json", action="store_true", help="print one JSON document instead of the list")


def _vectors(arguments: argparse.Namespace) -> int:
    import json

    from bnspec.conformance.vectors.folder import write_vectors

    index = write_vectors(arguments.out, arguments.family)
    if arguments.json:
        print(json.dumps({"out": str(arguments.out), **index}, indent=1))
        return CONFORMS
    for row in index["families"]:
        print(f"{row['family']:<12}{row['vectors']:>4} vectors {row['bytes'] / 1e6:>6.2f} MB  {row['about']}")
    print(f"\n{arguments.out}")
    return CONFORMS


VECTORS = Command(
    help="Write test vectors for implementations in any language: hard cases with exact expected values, a bound for each "
    "element and the clauses they ask, as JSON and safetensors.",
    example="bnspec vectors --out vectors --family running --family gradient",
    configure=_configure_vectors,
    run=_vectors,
)
