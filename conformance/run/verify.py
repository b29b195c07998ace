"""A verification run from a command's arguments to its run directory."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnspec.backends.harness.compilation_cache import open_cache
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.clauses import Clause, select_asked
from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.conformance.cases.corpus import add, read_corpus
from bnspec.conformance.cases.effort import EFFORTS, cases_of
from bnspec.conformance.judge.judge import FAILING
from bnspec.conformance.run.run import run_targets
from bnspec.conformance.run.target_run import Cases, Settings
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import Finding, RunFinished
from bnspec.reports.run.store import Run, RunWriter, read_run


@dataclass(frozen=True)
class Request:
    """What ``bnspec verify`` was asked for."""

    backends: Sequence[str]
    devices: Sequence[str]
    clauses: Sequence[str]
    effort: str = "quick"
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
    seconds_to_shrink = EFFORTS[request.effort].shrink_seconds
    settings = Settings(clauses, seconds_to_shrink, jobs=request.jobs, assist=finite, environment=cache.environment)
    started = time.perf_counter()
    with writer:
        cases = Cases(cases_of(request.effort, request.seed, request.minutes, before))
        progress = Progress(sys.stderr if not quiet else None)
        found = run_targets([t for t in targets if t not in done], cases, settings, writer, progress)
        findings = [f for fs in (*found.values(), *done.values()) for f in fs]
        status = exit_status(findings)
        seconds = {"wall": time.perf_counter() - started, "hypothesis_cpu": cases.seconds}
        writer.write(RunFinished(finished_now(), status, seconds))
    progress.end()
    run = read_run(writer.path)
    if request.corpus is not None:
        shrunk = {f.shrunk for f in findings if f.shrunk and f.level != "MAY"}
        add(request.corpus, [Case.loads((run.path / s).read_text("utf-8")) for s in sorted(shrunk)])
    return run, status


def exit_status(findings: Sequence[Finding]) -> int:
    """0: all conforms; 1: a MUST or a SHOULD is not met, known or not; 3: nothing was judged at all. A MAY is only recorded."""
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
            f"{request.resume} was asked for something else.",
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


class Progress:
    """One line that is rewritten on a terminal; elsewhere a line when a target starts and ends."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._lock = stream, threading.Lock()
        self._live = stream is not None and stream.isatty()
        self._state: dict[str, str] = {}

    def __call__(self, target: Target, cases: int, doing: str) -> None:
        """Say what a target is doing."""
        if self._stream is None:
            return
        with self._lock:
            if self._live:
                self._state[target.name] = f"{target.name} {cases} {doing}"
                if doing == "done":
                    self._state.pop(target.name)
                line = "  ".join(self._state.values())[:118]
                self._stream.write(f"\r\x1b[K{line}")
                self._stream.flush()
            elif doing in ("opening", "done"):
                self._stream.write(f"{target.name}: {doing}{f', {cases} cases' if doing == 'done' else ''}\n")

    def end(self) -> None:
        """Clear the line."""
        if self._live:
            self._stream.write("\r\x1b[K")
