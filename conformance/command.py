"""The commands ``verify``, ``merge``, ``replay``, ``mutants``, ``explain``, ``repro`` and ``vectors``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.conformance.cluster.options import CLUSTER
from bnspec.options import (
    BACKEND,
    CLAUSE,
    DEVICE,
    JOBS,
    JSON,
    LIMITS,
    NAMED,
    RESUME,
    RUN_DIRECTORY,
    SEED,
    Number,
    command,
    effort,
    folder,
    many,
)

if TYPE_CHECKING:
    from bnspec.conformance.cases.effort import EffortName


@command(
    "verify",
    summary="judge backends by the specification",
    example="bnspec verify --backend 'torch.*' --clause running --effort standard --seed 7",
    params=[
        NAMED,
        BACKEND,
        DEVICE,
        CLAUSE,
        effort("device", "quick", "standard", "thorough", default="quick",
               help="Number of generated cases; device: as few as ask every clause."),
        click.Option(["--minutes"], type=Number(0.0), metavar="M", show_default="as long as it takes",
                     help="Divide this time among the targets, and count the cases that are then left; with --effort thorough, "
                     "generate cases this long."),
        SEED,
        JOBS,
        RUN_DIRECTORY,
        click.Option(["--shard"], metavar="I/N", show_default="all cases",
                     help="Judge only the I-th of N parts of the cases; bnspec merge makes one run of all parts."),
        folder("--corpus", help="Replay the saved cases of this regression corpus first; add the smallest case of each new deviation."),
        RESUME,
        many("--may-be-absent", metavar="GLOB", help="Go on without these targets, also where opening them fails. Repeatable.", all="none"),
        click.Option(["--no-compilation-cache"], is_flag=True, help="Compile every program, and keep none on disk."),
        *CLUSTER,
        *LIMITS,
        JSON,
    ],
)  # fmt: skip
def verify(
    command_line: str,
    named: Sequence[str],
    backend: Sequence[str],
    device: Sequence[str],
    clause: Sequence[str],
    effort: EffortName,
    minutes: float | None,
    seed: int,
    jobs: int,
    out: Path | None,
    shard: str | None,
    corpus: Path | None,
    resume: Path | None,
    may_be_absent: Sequence[str],
    no_compilation_cache: bool,
    on: str | None,
    shards: int | None,
    label: str | None,
    unit_python: str | None,
    runtime_env: Path | None,
    as_json: bool,
    **limits: float | None,
) -> int:
    """Judge backends by the clauses of the specification, on generated cases.

    Exit status 0: every MUST and SHOULD conforms; 1: one deviates; 3: a target failed to open, or had no time to. SIGINT and SIGTERM
    stop the run within a second, with status 130 and 143, and --resume goes on with it.
    """
    from bnspec.backends.harness.limits import Limits
    from bnspec.conformance.run.shard import Shard
    from bnspec.conformance.run.verify import VerifyRequest
    from bnspec.conformance.run.verify import verify as run_verify
    from bnspec.errors import UsageError
    from bnspec.reports.run.resume import refuse_both
    from bnspec.reports.summary.document import run_document
    from bnspec.reports.tables.run import print_run
    from bnspec.terminal.console import print_json

    refuse_both(out, resume)
    request = VerifyRequest(
        (*named, *backend), device, clause, effort, seed, jobs, minutes, out, resume, corpus, not no_compilation_cache,
        Limits.of(limits), may_be_absent, Shard.read(shard) if shard else None,
    )  # fmt: skip
    if on is None:
        of_units = {"--shards": shards, "--label": label, "--unit-python": unit_python, "--runtime-env": runtime_env}
        given = [name for name, value in of_units.items() if value is not None]
        if given:
            raise UsageError(
                f"{' and '.join(given)} without --on.",
                "this says how a run is divided into units, and without --on it is not.",
                "add --on ray, or leave it out; --shard I/N judges one part.",
            )
        run, status = run_verify(request, command_line, quiet=as_json)
    else:
        from bnspec.conformance.cluster.on_ray import OnRay
        from bnspec.conformance.cluster.run import Spread, verify_on

        engine, spread = OnRay(on, unit_python, runtime_env), Spread(shards, label, limits["memory_gib"])
        run, status = verify_on(engine, request, spread, command_line, quiet=as_json)
    if as_json:
        print_json(run_document([run]))
    else:
        print_run(run)
    return status


@command(
    "merge",
    summary="make one run of the shards of a run, or of runs with several seeds",
    example="bnspec merge runs/shard-1 runs/shard-2 runs/shard-3 --out runs/whole",
    params=[
        click.Argument(["run"], nargs=-1, required=True, type=Path,
                       help="Run directories of bnspec verify: all shards of one call, or runs that differ in their --seed."),
        RUN_DIRECTORY,
        JSON,
    ],
)  # fmt: skip
def merge(command_line: str, run: Sequence[Path], out: Path | None, as_json: bool) -> int:
    """Make one run of several: verdicts, counts and cases are those of a run that was not divided.

    Exit status: that of bnspec verify.
    """
    from bnspec.conformance.run.merging import merge_runs
    from bnspec.reports.summary.document import run_document
    from bnspec.reports.tables.run import print_run
    from bnspec.terminal.console import print_json

    merged, status = merge_runs(run, out, command_line)
    if as_json:
        print_json(run_document([merged]))
    else:
        print_run(merged)
    return status


@command(
    "replay",
    summary="run one saved case again: every step with expected, got and bound",
    example="bnspec replay runs/mine/cases/0123456789ab.json --backend torch.nn --backend numpy",
    params=[
        click.Argument(["case"], type=Path, help="A saved case, as findings name it: RUN/cases/ID.json."),
        BACKEND,
        DEVICE,
        CLAUSE,
        *LIMITS,
        JSON,
    ],
)
def replay(
    command_line: str,
    case: Path,
    backend: Sequence[str],
    device: Sequence[str],
    clause: Sequence[str],
    as_json: bool,
    **limits: float | None,
) -> int:
    """Run one saved case on backends, each in a new process, and judge it by the clauses that it asks.

    Without --backend and --device: on those on which its run found it, a kernel among them; on all, where it lies in no run.
    Exit status 1: a MUST or SHOULD is broken, or a process ended without an answer; 3: no backend opened.
    """
    from bnspec.backends.harness.interruption import stoppable
    from bnspec.backends.harness.limits import Limits
    from bnspec.backends.harness.targets import targets_of
    from bnspec.clauses import select_asked
    from bnspec.conformance.kernels.again import replayed_kernel
    from bnspec.conformance.run.replay import found_on, refuse_unasked, saved_case
    from bnspec.conformance.run.replay import replay as run_replay
    from bnspec.conformance.run.replay_table import document, print_replays
    from bnspec.terminal.console import print_json

    saved = saved_case(case)
    clauses, limited = select_asked(clause), Limits.of(limits)
    refuse_unasked(saved, clauses, named=bool(clause))
    with stoppable():
        kernel = None if backend else replayed_kernel(case, saved, clauses, limited)
        if kernel is not None:
            replays = [kernel]
        else:
            backends, devices = (backend, device) if backend else found_on(case)
            replays = [run_replay(saved, t, clauses, limited) for t in targets_of(backends, device or devices)]
    if as_json:
        print_json(document(saved, replays))
    else:
        print_replays(saved, replays)
    if not any(r.opened for r in replays):
        return FAILED
    return DEVIATES if any(r.deviates for r in replays) else CONFORMS


@command(
    "mutants",
    summary="test the suite: which clauses kill which mutants",
    example="bnspec mutants --name 'epsilon_*'\nbnspec mutants --kind variant --seeds 20\n"
    "bnspec mutants --name 'writes_*' --device cuda:0 --backend torch.nn",
    params=[
        many("--name", metavar="GLOB", help="Select mutants and variants by name or glob. Repeatable."),
        click.Option(["--kind"], type=click.Choice(("mutant", "variant")), show_default="both", help="Run only this kind."),
        effort("quick", "standard", default="quick", help="Number of generated cases."),
        many("--seed", type=Number(0, 999_999), metavar="N", help="Seed of the generated cases. Repeatable.", all="1"),
        click.Option(["--seeds"], type=Number(1), metavar="N", help="Use the seeds 1 to N."),
        click.Option(["--until-killed"], is_flag=True, help="Stop a mutant once one of its expected clauses has killed it."),
        click.Option(["--device"], metavar="DEVICE", default="cpu",
                     help="Where the arrays of mutants lie: cpu, cuda:0. Each mutant then has a process of its own."),
        click.Option(["--backend"], metavar="NAME", default="", show_default=False,
                     help="The backend in whose tensors they lie there; it must be able to overwrite them."),
        JOBS,
        RUN_DIRECTORY,
        RESUME,
        JSON,
    ],
)  # fmt: skip
def mutants(
    command_line: str,
    name: Sequence[str],
    kind: str | None,
    effort: EffortName,
    seed: Sequence[int],
    seeds: int | None,
    until_killed: bool,
    device: str,
    backend: str,
    jobs: int,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
) -> int:
    """Run the mutants (defective backends) and the variants (unusual but correct ones) through the suite.

    Exit status 1: on some seed, no expected clause kills a mutant, or a clause reports a variant.
    """
    from bnspec.conformance.selftest.matrix.run import MatrixRequest, run_matrix
    from bnspec.conformance.selftest.matrix.table import document, print_matrix
    from bnspec.errors import UsageError
    from bnspec.terminal.console import print_json, terminal, verbatim

    if seed and seeds:
        raise UsageError(
            "--seed and --seeds are both given.", "--seeds N stands for the seeds 1 to N.", "give one of them."
        )
    chosen = list(range(1, seeds + 1)) if seeds else list(dict.fromkeys(seed)) or [1]
    request = MatrixRequest(name, kind or "", effort, chosen, jobs, until_killed, resume, device, backend)
    done = run_matrix(request, out, command_line, quiet=as_json)
    if as_json:
        print_json(document(done.matrix, done.rows, effort))
    else:
        print_matrix(done.matrix, done.rows, effort, request.whole)
        verbatim(terminal(), f"\n{done.path}")
    return done.status


@command(
    "explain",
    summary="explain clauses: statement, formula, source, known bugs",
    example="bnspec explain epsilon.inside_root_in_training",
    params=[
        click.Argument(["clause"], nargs=-1, required=False, help="Clauses or families; without one, a list of all clauses."),
        click.Option(["--markdown"], is_flag=True, help="Print the specification as Markdown: docs/specification.md."),
        click.Option(["--deviations"], is_flag=True, help="Print the known deviations as Markdown: docs/deviations.md."),
        JSON,
    ],
)  # fmt: skip
def explain(command_line: str, clause: Sequence[str], markdown: bool, deviations: bool, as_json: bool) -> int:
    """Explain clauses of the specification: statement, formula, source, the conventions it depends on, the bugs it would catch."""
    from bnspec.clauses import FAMILIES, select
    from bnspec.errors import UsageError

    forms = [n for n, asked in {"--markdown": markdown, "--deviations": deviations, "--json": as_json}.items() if asked]
    if len(forms) > 1:
        raise UsageError(
            f"{' and '.join(forms)} are given together.",
            "one call prints one document.",
            f"leave all but {forms[0]} out.",
        )
    if deviations and clause:
        raise UsageError(
            "--deviations is given with clauses.",
            "the page of known deviations is printed as a whole.",
            "leave the clauses out, or --deviations.",
        )
    if deviations:
        from bnspec.backends.harness.known.document import page

        sys.stdout.write(page())
        return CONFORMS
    clauses = select(clause)
    if markdown:
        from bnspec.clauses.document import text

        families = [f for f in FAMILIES if any(c.family == f.name for c in clauses)]
        sys.stdout.write(text(clauses, families))
        return CONFORMS
    if as_json:
        from bnspec.terminal.console import print_json

        print_json([c.to_json() for c in clauses])
        return CONFORMS
    from bnspec.conformance.explain import print_clauses

    print_clauses(clauses, in_full=bool(clause))
    return CONFORMS


@command(
    "repro",
    summary="write deviations as short scripts that need only the framework and NumPy",
    example="bnspec repro runs/mine --backend 'torch.*' --run\nbnspec repro runs/mine:running.var@torch.nn > repro.py",
    params=[
        click.Argument(["finding"], help="A run directory for all its deviations, or one deviation as RUN:CLAUSE@BACKEND."),
        CLAUSE,
        BACKEND,
        click.Option(["--out"], type=Path, metavar="DIR", show_default="RUN/repros", help="Write the scripts here, as BACKEND--CLAUSE.py."),
        click.Option(["--run"], is_flag=True, help="Run each script in its own process and report whether it reproduces the deviation."),
        JOBS,
        JSON,
    ],
)  # fmt: skip
def repro(
    command_line: str,
    finding: str,
    clause: Sequence[str],
    backend: Sequence[str],
    out: Path | None,
    run: bool,
    jobs: int,
    as_json: bool,
) -> int:
    """Write deviations as scripts of at most 15 statements that need only the framework and NumPy.

    A script of your own adapter imports its file; with --run it is run only if --backend names the adapter. A script exits with 1
    where the deviation occurs and with 0 where it does not. A deviation named as RUN:CLAUSE@BACKEND is printed, unless --out or
    --run is given. Exit status 1: a deviation has no script, although its backend's scripts are written, or a script did not
    reproduce it.
    """
    from bnspec.conformance.repro.scripts import exit_status, own_folder, parse, repros, write
    from bnspec.conformance.repro.table import print_repros, run_with_progress
    from bnspec.terminal.console import print_json

    request = parse(finding, clause, backend)
    made = repros(request)
    if request.named and len(made) == 1 and not (out or run or as_json):
        sys.stdout.write(made[0].text)
        return CONFORMS
    made = write(made, out or own_folder(request.run))
    if run:
        made = run_with_progress(made, jobs, quiet=as_json)
    if as_json:
        print_json({"run": str(request.run), "repros": [r.to_json() for r in made]})
    else:
        print_repros(made)
    return exit_status(made)


@command(
    "vectors",
    summary="write test vectors with exact values for any language; judge answers",
    example="bnspec vectors --out vectors --family running --family gradient\nbnspec vectors judge answers",
    params=[
        click.Argument(["action"], type=click.Choice(("judge",)), required=False, metavar="[judge]", help="Judge answers that were computed elsewhere; without it, vectors are written."),
        click.Argument(["answers"], required=False, metavar="[ANSWERS]", type=click.Path(path_type=Path), help="Of judge: the folder of the answers."),
        folder("--out", help="Write the vectors here: a folder that is empty or does not exist."),
        many("--family", metavar="NAME", help="Select families of clauses. Repeatable."),
        JSON,
    ],
)  # fmt: skip
def vectors(
    command_line: str, action: str | None, answers: Path | None, out: Path | None, family: Sequence[str], as_json: bool
) -> int:
    """Write test vectors for implementations in any language: hard cases as JSON and safetensors.

    Each has exact expected values, a bound for each element, and the clauses that it tests. With judge ANSWERS, judge answers to
    them: A, B (every MUST is kept) or F, with exit status 1.
    """
    from bnspec.errors import UsageError

    if action == "judge":
        if answers is None or out is not None or family:
            raise UsageError(
                "vectors judge takes a folder of answers, and nothing else.",
                f"{'--out and --family are of written vectors' if answers else 'it names none'}.",
                "bnspec vectors judge ANSWERS.",
            )
        return _judge_answers(answers, as_json)
    if out is None:
        raise UsageError(
            "--out is missing.",
            "the help says: Write the vectors here.",
            "name a folder, or bnspec vectors judge ANSWERS.",
        )
    from bnspec.conformance.vectors.folder import write_vectors
    from bnspec.terminal.console import print_json, show, table, terminal, verbatim

    index = write_vectors(out, family)
    if as_json:
        print_json({"out": str(out), **index})
        return CONFORMS
    console = terminal()
    listed = table(console, "family", "vectors", "MB", "contents", right=("vectors", "MB"))
    for row in index["families"]:
        listed.add_row(row["family"], str(row["vectors"]), f"{row['bytes'] / 1e6:.2f}", row["about"])
    show(console, listed)
    verbatim(console, f"\n{out}")
    return CONFORMS


def _judge_answers(answers: Path, as_json: bool) -> int:
    """Judge a folder of answers to the vectors."""
    from bnspec.conformance.vectors.answers import judge_answers
    from bnspec.terminal.console import indented, print_json, terminal

    judged = judge_answers(answers)
    if as_json:
        print_json({"answers": str(answers), **judged.to_json()})
    else:
        console = terminal()
        must, should = judged.broken("MUST"), judged.broken("SHOULD")
        said = f"breaks {len(must)} MUST and {len(should)} SHOULD of {len(judged.clauses)} clauses"
        indented(
            console, f"{judged.grade}: {answers}: {said}; {judged.answered} outputs answered, {judged.unanswered} not"
        )
        if judged.families:
            indented(console, f"  nothing answered of {', '.join(judged.families)}")
        for words, names in (
            ("have another dtype or shape", [f"{n} {s}" for n, s in judged.mistyped.items()]),
            ("answer no vector", judged.unknown),
        ):
            if names:
                indented(console, f"  {len(names)} arrays {words}, first {names[0]}")
        for name in (*must, *should):
            c = judged.clauses[name]
            indented(
                console,
                f"  {c.level} {name}: {c.failures} of {c.vectors} vectors, worst error / bound {c.worst:.3g}, first {c.first}",
            )
    return DEVIATES if judged.grade == "F" else CONFORMS
