"""A verification run from a command's arguments to its run directory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnspec.backends.harness.compilation_cache import open_cache
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.clauses import Clause, select_asked
from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.conformance.cases.corpus import add, distinct, read_corpus
from bnspec.conformance.cases.effort import EFFORTS, EffortName, cases_of
from bnspec.conformance.judge.collector import COMPLETES
from bnspec.conformance.judge.judge import asks, checks_for
from bnspec.conformance.judge.tally import FAILING
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.cover import cover
from bnspec.conformance.run.run import run_targets
from bnspec.conformance.run.settings import RunSettings
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import Finding, RunFinished
from bnspec.reports.run.store import Run, RunWriter, read_run
from bnspec.terminal.progress import Progress


@dataclass(frozen=True)
class Request:
    """The arguments of ``bnspec verify``."""

    backends: Sequence[str]
    devices: Sequence[str]
    clauses: Sequence[str]
    effort: EffortName = "quick"
    seed: int = 1
    jobs: int = 2
    minutes: float | None = None
    out: Path | None = None
    resume: Path | None = None
    corpus: Path | None = None
    compilation_cache: bool = True


def verify(request: Request, command: str, quiet: bool = False) -> tuple[Run, int]:
    """Run it; returns the run as read back, and the exit status.

    Raises UsageError: a backend, device, clause or folder that is wrong, or a clause that no backend can be asked about.
    Interrupted, it leaves a readable run directory.
    """
    targets, clauses = targets_of(request.backends, request.devices), select_asked(request.clauses)
    before = read_corpus(request.corpus)
    cache = open_cache(request.compilation_cache)
    options = {**_options(request, targets, clauses), "compilation_cache": cache.state}
    writer, done = _writer(request, command, options)
    finite = request.effort != "thorough"
    settings = RunSettings(
        clauses,
        EFFORTS[request.effort].shrink_seconds,
        EFFORTS[request.effort].cause_seconds,
        jobs=request.jobs,
        assist=finite,
        environment=cache.environment,
    )
    started = time.perf_counter()
    with writer:
        cases = CasePool(_cases(request, before, clauses))
        with Progress(quiet) as progress:
            left = [t for t in targets if t not in done]
            found = run_targets(left, cases, settings, writer, reported(progress))
        findings = [f for fs in (*found.values(), *done.values()) for f in fs]
        status = exit_status(findings)
        seconds = {"wall": time.perf_counter() - started, "hypothesis_cpu": cases.seconds}
        writer.write(RunFinished(finished_now(), status, seconds))
    run = read_run(writer.path)
    if request.corpus is not None:
        shrunk = {f.shrunk for f in findings if f.shrunk and f.level != "MAY"}
        add(request.corpus, [Case.loads((run.path / s).read_text("utf-8")) for s in sorted(shrunk)])
    return run, status


def _cases(request: Request, corpus: Sequence[Case], clauses: Sequence[Clause]) -> Iterable[Case]:
    """The cases of the effort that one of the clauses may judge; a user's own are never left out of a cover."""
    if not EFFORTS[request.effort].covers:
        return needed(cases_of(request.effort, request.seed, request.minutes, corpus), clauses)
    checks = checks_for({c.id for c in clauses})
    return needed(distinct([*corpus, *cover(list(cases_of(request.effort, request.seed)), checks)]), clauses)


def needed(cases: Iterable[Case], clauses: Sequence[Clause]) -> Iterator[Case]:
    """The cases that one of the clauses may judge; all where it is asked whether the process survives."""
    asked = {c.id for c in clauses}
    checks = checks_for(asked)
    return (case for case in cases if COMPLETES in asked or asks(case, checks))


def exit_status(findings: Sequence[Finding]) -> int:
    """0: all conforms; 1: a MUST or a SHOULD is broken, known or not; 3: nothing was judged at all. A MAY is only recorded."""
    if any(f.verdict in FAILING and f.level != "MAY" for f in findings):
        return DEVIATES
    return CONFORMS if any(f.cases for f in findings) or any(f.verdict == "declined" for f in findings) else FAILED


def _options(request: Request, targets: Sequence[Target], clauses: Sequence[Clause]) -> dict[str, Any]:
    return {
        "targets": [t.name for t in targets],
        "clauses": [c.id for c in clauses],
        "jobs": request.jobs,
        "minutes": request.minutes,
        "corpus": str(request.corpus) if request.corpus else None,
    }


def _writer(request: Request, command: str, options: dict[str, Any]) -> tuple[RunWriter, dict[Target, list[Finding]]]:
    """The run directory to write, and what it already holds when it is resumed: findings of finished targets."""
    if request.resume is None:
        manifest = new_manifest("verify", command, request.seed, request.effort, options)
        return RunWriter.create(request.out, manifest), {}
    run = read_run(request.resume)
    same = (
        run.manifest.seed,
        run.manifest.effort,
        run.manifest.options.get("clauses"),
        run.manifest.options.get("targets"),
    )
    if same != (request.seed, request.effort, options["clauses"], options["targets"]):
        raise UsageError(
            f"{request.resume} was started with other arguments.",
            f"it has seed {run.manifest.seed}, effort {run.manifest.effort} and {len(same[3] or [])} targets.",
            "resume with the arguments it was started with: " + run.manifest.command,
        )
    finished = {(t.backend, t.device) for t in run.targets_finished}
    done = {
        t: [f for f in run.findings if (f.backend, f.device) == (t.entry.name, t.device)]
        for t in targets_of(request.backends, request.devices)
        if (t.entry.name, t.device) in finished
    }
    return RunWriter.resume(request.resume), done


def reported(progress: Progress) -> Callable[[Target, int, str], None]:
    """What targets report to: opening and done are the start and the end of a part of the progress."""

    def report(target: Target, cases: int, doing: str) -> None:
        if doing == "done":
            progress.end(target.name, f"done, {cases} cases")
        else:
            progress.update(target.name, doing, cases or None)

    return report
