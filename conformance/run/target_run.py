"""The run of one target: every case in its worker, judged, and written down."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bnspec.backends.harness.interruption import check
from bnspec.backends.harness.launcher import PATIENT, Worker
from bnspec.backends.harness.targets import Target
from bnspec.conformance.cases.forward import offered
from bnspec.conformance.causes.causes import Examined, causes_of
from bnspec.conformance.conventions.own_adapter import gradient_modes_of
from bnspec.conformance.judge.collector import ENDINGS, CaseJudgements, Collector, with_gradients_declined
from bnspec.conformance.judge.finding import finding_of
from bnspec.conformance.judge.tally import Judged as JudgedOnce
from bnspec.conformance.judge.tally import Tally
from bnspec.conformance.run.bits import bits_of
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.entries import Earlier, entry_of, judgements_of
from bnspec.conformance.run.findings import FindingWriter, target_record, unavailable
from bnspec.conformance.run.judges import Asked, Judges
from bnspec.conformance.run.judging_process import Judged
from bnspec.conformance.run.settings import RunSettings
from bnspec.conformance.run.shares import ALL_TIME, Share, Shares
from bnspec.conformance.run.smallest import Observe
from bnspec.conformance.run.work_clock import WorkClock
from bnspec.conformance.run.work_queue import WorkQueue
from bnspec.errors import HarnessError, UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.vocabulary import Status
from bnspec.reports.run.bits import Bits, CaseBits
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.records import Finding, Incident, TargetFinished
from bnspec.reports.run.store import RunWriter
from bnspec.reports.run.vocabulary import FAILING, IncidentStatus

#: A target whose process died so often is given up: its remaining cases are counted as never run, as are those for which the time
#: of the run is not enough.
CRASHES_AT_MOST = 5
#: The incident that a case without an answer is; "not_run" is one that the device had no memory for.
INCIDENTS: Mapping[Status, IncidentStatus] = {"crashed": "crashed", "timeout": "timeout", "not_run": "error"}
#: A second worker is opened for a target that has at least so many cases left.
WORTH_ASSISTING = 40


class RunFailed(Exception):
    """The run ends because of an error elsewhere in it."""


@dataclass
class TargetRun:
    """The run of one target.

    Attributes:
        counts: cases by status; seconds: by where the time went; see ``TargetFinished``.
        collector: the tallies, while cases are being run; changed: guards it and the numbers.
        assistants: second workers that are open; crashes: cases that ended in no answer.
        bits: of results, by case; see ``Bits``.
        failed: set where the run ends because of an error; earlier: what an interrupted run had of the target.
        shares: of the run's time; share: of it, what this target has, once it has begun.
        work: what the searches for smallest cases and causes have cost.
        judges: where its cases are judged; by default in this process.
    """

    target: Target
    cases: CasePool
    settings: RunSettings
    writer: RunWriter
    progress: Callable[[Target, int, str], None]
    failed: threading.Event = field(default_factory=threading.Event)
    earlier: Earlier = field(default_factory=Earlier)
    shares: Shares = field(default_factory=lambda: Shares(math.inf, 1))
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: dict[str, float] = field(default_factory=lambda: collections.defaultdict(float))
    work: WorkClock = field(default_factory=WorkClock)
    judges: Judges = field(default_factory=Judges)
    queue: WorkQueue = field(init=False)
    share: Share = ALL_TIME
    bits: dict[str, CaseBits] = field(default_factory=dict)
    collector: Collector | None = None
    judged_by: Judged = field(init=False)
    assistants: int = 0
    crashes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self.cases, self.settings.shard)

    def run(self) -> list[Finding]:
        """Open the target, run every case, shrink what deviates, write everything; returns the findings."""
        entry, device = self.target.entry, self.target.device
        self.share = self.shares.begin()
        if self.share.cases_over:
            return self.never_opened()
        self.progress(self.target, 0, "opening")
        worker = self.open()
        self.share = self.share.opened()
        causes: list[Cause] = []
        try:
            if entry.own and worker.hello.conventions is not None:  # one that is registered declares it
                modes = gradient_modes_of(worker, worker.hello.conventions)
                found = dataclasses.replace(worker.hello.conventions, gradient_modes=modes)
                worker.hello = dataclasses.replace(worker.hello, conventions=found)
            opened = target_record(self.target, worker.hello)
            if opened != self.earlier.target:
                self.earlier = Earlier()  # of other releases or conventions
                self.writer.write(opened)
            if worker.hello.status != "ready":
                findings = [unavailable(self.target, c, worker.hello) for c in self.settings.clauses]
                self.writer.write(*findings)
            else:
                assert worker.hello.conventions is not None
                findings, causes = self.judged(worker, worker.hello.conventions)
        finally:
            worker.stop()
        bits = [Bits(entry.name, device, dict(sorted(self.bits.items())))] if self.bits else []
        self.writer.write(*causes, *bits, TargetFinished(entry.name, device, dict(self.counts), dict(self.seconds)))
        self.writer.done("target", entry.name, device)
        self.report("done")
        return findings

    def never_opened(self) -> list[Finding]:
        """What is written of a target for which no time was left."""
        name, device = self.target.entry.name, self.target.device
        findings = [finding_of(c.id, Tally[JudgedOnce](), name, device) for c in self.settings.clauses]
        self.counts["not_run"] += self.queue.left
        self.writer.write(*findings, TargetFinished(name, device, dict(self.counts), {}))
        self.writer.done("target", name, device)
        self.report("done")
        return findings

    def open(self) -> Worker:
        """A worker of the target."""
        started = time.perf_counter()
        environment = {**PATIENT, **self.settings.environment}
        worker = Worker(self.target.entry, self.target.device, limits=self.settings.limits, environment=environment)
        self.spend(open=time.perf_counter() - started)
        return worker

    def report(self, doing: str) -> None:
        """Report progress."""
        self.progress(self.target, sum(self.counts.values()) - self.counts["not_run"], doing)

    def spend(self, **seconds: float) -> None:
        """Account for time."""
        with self.changed:
            for name, spent in seconds.items():
                self.seconds[name] += spent

    def judged(self, worker: Worker, conventions: Conventions) -> tuple[list[Finding], list[Cause]]:
        """``verify``; once the adapter is open, what is malformed is our own doing. Raises HarnessError."""
        try:
            return self.verify(worker, conventions)
        except UsageError as error:
            raise HarnessError(f"{self.target.name}: {error.what}", error.why, "report this with the run.") from error

    def verify(self, worker: Worker, conventions: Conventions) -> tuple[list[Finding], list[Cause]]:
        """Run and judge all cases, then make the findings and look for their causes.

        Raises RunFailed: an assistant ended before its cases were judged.
        """
        clauses = tuple(c.id for c in self.settings.clauses)
        entry, device = self.target.entry.name, self.target.device
        self.judged_by = Judged(clauses, conventions, entry, dict(worker.hello.versions), device)
        collector = self.judged_by.collector
        self.recall(collector)
        with self.changed:
            self.collector = collector
        self.collect(worker, collector, self.queue.first)
        with self.changed:
            self.changed.wait_for(lambda: not self.assistants)
            self.collector = None
        check()
        if self.failed.is_set():  # an assistant may have left cases that it had taken
            raise RunFailed()
        self.spend(oracle_cpu=collector.oracle_seconds, judge_cpu=-collector.oracle_seconds)
        self.work = WorkClock()  # of this thread, from now on
        clock = time.monotonic if self.settings.limited else self.work
        started = time.perf_counter()
        failing = sum(t.verdict in FAILING for t in collector.tallies.values())
        maker = FindingWriter(
            self.target,
            conventions,
            self.writer,
            lambda case: self.observe(worker, case),
            min(self.settings.shrink_seconds, self.share.left / 2 / max(failing, 1)),
            self.report,
            self.new_process if self.settings.histories else None,
            lambda index: [offered(case, conventions) for case in self.cases.before(index)],
            clock,
            collector.known,
        )
        findings = maker.findings(collector.tallies, self.earlier.findings)
        self.spend(shrink=time.perf_counter() - started)
        target = Examined(maker.observe, conventions, self.writer.save_case, collector.known, clock)
        deviating = {clause: tally.failing for clause, tally in collector.tallies.items()}
        return findings, self.causes(target, findings, maker.smallest_cases, deviating)

    @contextlib.contextmanager
    def new_process(self) -> Iterator[Observe]:
        """A process of the target in which nothing has run, ended after use."""
        with self.open() as worker:
            yield lambda case: self.observe(worker, case)

    def causes(
        self,
        target: Examined,
        findings: Sequence[Finding],
        cases: Mapping[str, Case],
        failing: Mapping[str, Sequence[JudgedOnce]],
    ) -> list[Cause]:
        """What is behind the findings, found by experiment."""
        started = time.perf_counter()
        self.report("finding causes")
        seconds = min(self.settings.cause_seconds, self.share.left)
        found = causes_of(target, findings, cases, seconds, failing)
        self.spend(causes=time.perf_counter() - started)
        return found

    def assist(self) -> bool:
        """Run cases from the back in a second worker, while the first goes on from the front; whether there was need."""
        with self.changed:
            collector = self.collector
            if collector is None or self.assistants or self.queue.left < WORTH_ASSISTING or self.share.cases_over:
                return False
            self.assistants += 1
        try:
            with self.open() as worker:
                if worker.hello.status == "ready":
                    self.collect(worker, collector, self.queue.last)
        except BaseException:
            self.failed.set()  # before the first worker looks
            raise
        finally:
            with self.changed:
                self.assistants -= 1
                self.changed.notify_all()
        return True

    def collect(self, worker: Worker, collector: Collector, following: Callable[[], tuple[int, Case] | None]) -> None:
        """Run and judge the cases that follow, until there is none left."""
        with self.judges.flight() as flight:
            while (taken := following()) is not None:
                if self.failed.is_set():
                    raise RunFailed()
                index, case = taken
                if self.crashes >= CRASHES_AT_MOST or self.share.cases_over:
                    with self.changed:
                        self.counts["not_run"] += 1
                    continue
                given = offered(case, self.judged_by.conventions)
                observation, spent = self.timed(worker, given)
                self.cases.took(case, spent["backend"] + spent["wire"], spent["backend_cpu"])
                check()
                self.note_incidents(given, observation)
                asked = Asked(self.judged_by, given, observation)
                bits = bits_of(observation) if case.id in self.settings.fixed else None
                flight.judge(asked, functools.partial(self.note, collector, index, case, given, bits, spent))

    def note(
        self,
        collector: Collector,
        index: int,
        case: Case,
        given: Case,
        bits: CaseBits | None,
        spent: dict[str, float],
        found: CaseJudgements,
        seconds: float,
    ) -> None:
        """Journal and count a case that has been judged as it was given to the backend. ``seconds``: processor time of the judge.

        Thread-safe.
        """
        check()
        if given is not case and found.status not in ENDINGS:
            found = with_gradients_declined(case, found, self.cases.oracle(case), collector.checks)
        spent["judge_cpu"] = seconds
        place = self.target.entry.name, self.target.device, index, self.writer.at
        self.writer.journal(entry_of(place, given, found, {**spent, "oracle_cpu": found.oracle_seconds}, bits))
        self.count(collector, given, found, index, spent, bits)
        if index % 10 == 0:
            self.report("running")

    def count(
        self,
        collector: Collector,
        case: Case,
        found: CaseJudgements,
        index: int,
        spent: Mapping[str, float],
        bits: CaseBits | None,
    ) -> None:
        """Count a judged case, where its time went, and the bits of what it gave."""
        collector.count(case, found, index)
        self.spend(**spent)
        with self.changed:
            self.counts[found.status] += 1
            if bits is not None:
                self.bits[case.id] = bits

    def recall(self, collector: Collector) -> None:
        """Count the cases that an interrupted run has judged already."""
        known: set[int] = set()
        for index, entry in self.earlier.judged.items():
            drawn = self.cases[index]
            case = None if drawn is None else offered(drawn, self.judged_by.conventions)
            if case is None or case.id != entry.case or not collector.tallies.keys() >= {*entry.kept, *entry.declined}:
                continue
            spent = dict(entry.seconds)
            collector.oracle_seconds += spent.pop("oracle_cpu", 0.0)
            self.count(collector, case, judgements_of(entry), index, spent, entry.bits)
            self.crashes += entry.status in ("crashed", "timeout")
            known.add(index)
        self.queue.skip(known)

    def observe(self, worker: Worker, case: Case) -> Observation:
        """Run the case; account for the time in the backend and on the wire."""
        observation, spent = self.timed(worker, case)
        self.spend(**spent)
        self.work.worker += observation.cpu_seconds
        return observation

    def timed(self, worker: Worker, case: Case) -> tuple[Observation, dict[str, float]]:
        """Run the case; returns the observation, and the time in the backend and on the wire."""
        started, cpu = time.perf_counter(), time.thread_time()
        observation = worker.run(case)
        elapsed = time.perf_counter() - started
        return observation, {
            "backend": observation.seconds,
            "backend_cpu": observation.cpu_seconds,
            "wire": max(elapsed - observation.seconds, 0.0),
            "wire_cpu": time.thread_time() - cpu,
        }

    def note_incidents(self, case: Case, observation: Observation) -> None:
        """Crashes and time-outs, counted, and as records with their cases; and cases that the device had no memory for."""
        status = INCIDENTS.get(observation.status)
        if status is not None:
            with self.changed:
                self.crashes += status != "error"
            path = self.writer.save_case(case)
            entry, device = self.target.entry.name, self.target.device
            self.writer.write(Incident(entry, device, path, status, None, observation.message))
