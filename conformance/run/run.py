"""A verification run: cases x targets -> findings, side by side on the machine's cores.

Every target sees the same cases; a case is run once per target and its observation judged by every clause. The oracle's
answers are shared. Targets are independent: each has its worker process and its thread here, and late in a run a second one
where a thread has nothing else to do. With more than one job the cases are judged in processes of their own; see ``judges``.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from bnspec.backends.harness.compilation_cache import compiles
from bnspec.backends.harness.targets import Target
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.entries import Earlier
from bnspec.conformance.run.judges import Judges, processes_for
from bnspec.conformance.run.settings import RunSettings
from bnspec.conformance.run.shares import Shares
from bnspec.conformance.run.target_run import RunFailed, TargetRun
from bnspec.reports.run.records import Finding
from bnspec.reports.run.store import RunWriter

#: Workers on one accelerator at a time.
WORKERS_OF_A_DEVICE = 4


def run_targets(
    targets: Sequence[Target],
    cases: CasePool,
    settings: RunSettings,
    writer: RunWriter,
    progress: Callable[[Target, int, str], None],
    earlier: Mapping[Target, Earlier] | None = None,
) -> Mapping[Target, list[Finding]]:
    """All targets, at most ``settings.jobs`` workers at a time, and few on one accelerator, which share its memory; a thread without a
    target assists the one with most to do.

    Targets of compiling frameworks start first: they take longest, and the others fill the cores beside them. Where the time is limited
    they start last, so that it is enough for more targets. The first error of the harness itself ends the run. ``earlier``: what an interrupted run had of the targets.
    """
    had = earlier or {}
    slots = {t.number: threading.Semaphore(WORKERS_OF_A_DEVICE) for t in targets if not t.on_host}
    failed = threading.Event()
    judges = Judges(processes_for(settings.jobs), cases.oracle)
    jobs = max(1, min(settings.jobs, 2 * len(targets)))  # a target has at most two workers
    shares = Shares(settings.ends, len(targets), jobs)
    runs = {
        t: TargetRun(t, cases, settings, writer, progress, failed, had.get(t, Earlier()), shares, judges=judges)
        for t in targets
    }
    waiting = collections.deque(
        sorted(runs.items(), key=lambda item: compiles(item[0].entry.adapter) == settings.limited)
    )
    found: dict[Target, list[Finding]] = {}

    def assist(run: TargetRun) -> bool:
        with slots.get(run.target.number, contextlib.nullcontext()):
            return run.assist()

    def work() -> None:
        try:
            while not failed.is_set():
                try:
                    target, run = waiting.popleft()
                except IndexError:
                    break
                with slots.get(target.number, contextlib.nullcontext()):
                    found[target] = run.run()
            if settings.assist:
                while not failed.is_set() and any(assist(r) for r in _slowest_first(runs.values())):
                    pass
        except BaseException:
            failed.set()
            raise

    with judges, ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(work) for _ in range(jobs)]
        errors = [error for f in futures if (error := f.exception()) is not None]
    for error in sorted(errors, key=lambda e: isinstance(e, RunFailed)):
        raise error
    return {t: found[t] for t in targets}


def _slowest_first(runs: Iterable[TargetRun]) -> list[TargetRun]:
    return sorted(runs, key=lambda r: -r.queue.left)
