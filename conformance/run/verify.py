"""A verification run from a command's arguments to its run directory."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnspec.backends.harness.compilation_cache import open_cache
from bnspec.backends.harness.environments.prepare import prepare, specs_of
from bnspec.backends.harness.interruption import check, resumable, stoppable
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.clauses import VERSION, Clause, select_asked
from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.conformance.cases.corpus import add, distinct, read_corpus
from bnspec.conformance.cases.effort import EFFORTS, EffortName, cases_of, fixed_cases
from bnspec.conformance.cases.races import race_cases
from bnspec.conformance.checks import CHECKS
from bnspec.conformance.judge.collector import COMPLETES, with_answers
from bnspec.conformance.judge.judge import asks, checks_for
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.cover import cover
from bnspec.conformance.run.entries import earlier_of
from bnspec.conformance.run.run import run_targets
from bnspec.conformance.run.settings import RunSettings
from bnspec.conformance.run.shard import Shard
from bnspec.conformance.run.shares import DIVIDED
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import Finding, RunFinished, TargetRecord, target_name
from bnspec.reports.run.resume import begun, resume_command
from bnspec.reports.run.store import Run, RunWriter, read_run
from bnspec.reports.run.vocabulary import FAILING
from bnspec.terminal.progress import Progress


@dataclass(frozen=True)
class VerifyRequest:
    """The arguments of ``bnspec verify``.

    ``absent``: globs of the targets that need not open; ``shard``: the part of the cases that is judged, None: all; ``histories``:
    whether new processes are opened to see what a deviation needs of the calls before it: not where the time is limited.
    """

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
    limits: Limits = field(default_factory=Limits)
    absent: Sequence[str] = ()
    shard: Shard | None = None
    histories: bool = True


#: Measures these targets once the findings are written, into this run.
ExtraMeasurement = Callable[[Sequence[Target], RunWriter, Progress], None]


def verify(
    request: VerifyRequest, command: str, quiet: bool = False, extra: Sequence[ExtraMeasurement] = ()
) -> tuple[Run, int]:
    """Run it; returns the run as read back, and the exit status. ``extra``: what is measured besides.

    Raises UsageError: a backend, device, clause or folder that is wrong, or a clause that no backend can be asked about.
    Interrupted, it leaves a run directory that can be read and resumed.
    """
    with stoppable():
        return _verify(request, command, quiet, extra)


def _verify(request: VerifyRequest, command: str, quiet: bool, extra: Sequence[ExtraMeasurement]) -> tuple[Run, int]:
    if request.shard is not None and request.minutes is not None:
        raise UsageError(
            "--shard and --minutes are both given.",
            "the shards of a run have equal cases, and how many are made in a time differs.",
            "leave out --minutes, or verify several seeds and merge them.",
        )
    targets, asked = targets_of(request.backends, request.devices), select_asked(request.clauses)
    clauses = with_answers(asked)
    before = read_corpus(request.corpus)
    cache = open_cache(request.compilation_cache)
    options = {**_options(request, targets, clauses, before), "compilation_cache": cache.state}
    manifest = new_manifest("verify", command, request.seed, request.effort, options)
    run = begun(manifest, request.out, request.resume, ("clauses", "targets", "shard"))
    writer = run.writer
    resumable(resume_command(command, writer.path))
    done = _done(run.run, targets, clauses)
    finite = request.effort != "thorough"
    settings = RunSettings(
        clauses,
        EFFORTS[request.effort].shrink_seconds,
        EFFORTS[request.effort].cause_seconds,
        jobs=request.jobs,
        assist=finite,
        limits=request.limits,
        environment=cache.environment,
        shard=request.shard,
        histories=request.histories and (request.minutes is None or not finite),
        fixed={c.id for c in fixed_cases()},
    )
    with writer, Progress(quiet) as progress:
        left = [t for t in targets if t not in done]
        prepare(specs_of([t.entry for t in left]), progress)
        if finite and request.minutes is not None:  # of the run: what environments take to build is not counted
            settings = dataclasses.replace(settings, ends=time.monotonic() + 60.0 * DIVIDED * request.minutes)
        races = needed(race_cases(), asked) if any(not t.on_host for t in targets) else ()
        drawn = cases_asked(request.effort, request.seed, asked, request.minutes, before)
        cases = CasePool(itertools.chain(races, drawn))
        earlier = {} if run.run is None else {t: earlier_of(run.run, run.entries, t) for t in left}
        found = run_targets(left, cases, settings, writer, reported(progress), earlier)
        opened = {(t.backend, t.device) for t in writer.targets if t.status == "ready"}
        for measure in extra:
            measure([t for t in targets if (t.entry.name, t.device) in opened], writer, progress)
        findings = [f for fs in (*found.values(), *done.values()) for f in fs]
        tried = {(t.backend, t.device) for t in writer.targets}
        never_tried = [t for t in left if (t.entry.name, t.device) not in tried]
        status = exit_status(findings, [*failed_to_open(writer.targets, request.absent), *never_tried])
        if request.shard is not None and all(f.verdict == "not_exercised" for f in findings):
            status = CONFORMS  # the other shards have the cases
        seconds = {"wall": run.seconds_before + writer.at, "hypothesis_cpu": cases.seconds}
        check()
        writer.write(RunFinished(finished_now(), status, seconds))
    finished = read_run(writer.path)
    if request.corpus is not None and request.shard is None:  # the shards of a run must find the same corpus
        shrunk = {f.shrunk for f in findings if f.shrunk and f.level != "MAY"}
        add(request.corpus, [Case.loads((finished.path / s).read_text("utf-8")) for s in sorted(shrunk)])
    return finished, status


def cases_asked(
    effort: EffortName,
    seed: int,
    clauses: Sequence[Clause],
    minutes: float | None = None,
    corpus: Sequence[Case] = (),
) -> Iterable[Case]:
    """The cases of the effort that one of the clauses may judge; a user's own are never left out of a cover.

    Where the time is limited, those come first that ask every clause once, then those that ask it a few times.
    """
    if effort == "thorough" or (minutes is None and not EFFORTS[effort].covers):
        return needed(cases_of(effort, seed, minutes, corpus), clauses)
    asked = {c.id for c in clauses}
    checks = CHECKS if COMPLETES in asked else checks_for(asked)  # of whether the process survives, every case speaks
    every = list(cases_of(effort, seed))
    few = cover(every, checks)
    once = [] if minutes is None else cover(few, checks, 1)
    rest = [] if EFFORTS[effort].covers else every
    return needed(distinct([*corpus, *once, *few, *rest]), clauses)


def needed(cases: Iterable[Case], clauses: Sequence[Clause]) -> Iterator[Case]:
    """The cases that one of the clauses may judge; all where it is asked whether the process survives."""
    asked = {c.id for c in clauses}
    checks = checks_for(asked)
    return (case for case in cases if COMPLETES in asked or asks(case, checks))


def exit_status(findings: Sequence[Finding], not_opened: Sequence[TargetRecord | Target] = ()) -> int:
    """0: all conforms; 1: a MUST or a SHOULD is broken, known or not; 3: a target failed to open or had no time to, or nothing was
    judged at all.

    A MAY is only recorded.
    """
    if any(f.verdict in FAILING and f.level != "MAY" for f in findings):
        return DEVIATES
    if not_opened:
        return FAILED
    return CONFORMS if any(f.cases for f in findings) or any(f.verdict == "declined" for f in findings) else FAILED


def failed_to_open(targets: Sequence[TargetRecord], absent: Sequence[str]) -> list[TargetRecord]:
    """The targets whose process crashed, hung or raised when it was opened, or whose environment cannot be had, besides those
    that need not open.

    One whose framework or device is not there was never promised.
    """
    failed = [t for t in targets if t.status in ("crashed", "timeout", "broken", "unbuilt")]
    return [
        t
        for t in failed
        if not any(n == p or fnmatch.fnmatchcase(n, p) for p in absent for n in (t.backend, target_name(t)))
    ]


def _options(
    request: VerifyRequest, targets: Sequence[Target], clauses: Sequence[Clause], corpus: Sequence[Case]
) -> dict[str, Any]:
    return {
        "targets": [t.name for t in targets],
        "clauses": [c.id for c in clauses],
        "specification": VERSION,
        "jobs": request.jobs,
        "minutes": request.minutes,
        "corpus": str(request.corpus) if request.corpus else None,
        "corpus_digest": hashlib.sha256(" ".join(c.id for c in corpus).encode()).hexdigest() if corpus else None,
        "shard": str(request.shard) if request.shard else None,
        "limits": request.limits.to_json(),
        "may_be_absent": list(request.absent),
    }


def _done(run: Run | None, targets: Sequence[Target], clauses: Sequence[Clause]) -> dict[Target, list[Finding]]:
    """The findings of the targets whose share of the run is complete; one that did not open is tried again."""
    if run is None:
        return {}
    finished = {(t.backend, t.device) for t in run.targets_finished}
    finished &= {(t.backend, t.device) for t in run.targets if t.status == "ready"}
    of = {t: [f for f in run.findings if (f.backend, f.device) == (t.entry.name, t.device)] for t in targets}
    wanted = {c.id for c in clauses}
    return {
        t: found
        for t, found in of.items()
        if (t.entry.name, t.device) in finished and {f.clause for f in found} == wanted
    }


def reported(progress: Progress) -> Callable[[Target, int, str], None]:
    """What targets report to: opening and done are the start and the end of a part of the progress."""

    def report(target: Target, cases: int, doing: str) -> None:
        if doing == "done":
            progress.end(target.name, f"done, {cases} cases")
        else:
            progress.update(target.name, doing, cases or None)

    return report
