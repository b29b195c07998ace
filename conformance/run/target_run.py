"""One target's way through a run: every case in its worker, judged, shrunk where it deviates, written down."""

from __future__ import annotations

import collections
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bnspec.backends.harness.known import entries as known
from bnspec.backends.harness.launcher import CASE_SECONDS, PATIENT, Hello, Worker
from bnspec.backends.harness.targets import Target
from bnspec.clauses import Clause
from bnspec.conformance.cases.shrinking import shrink
from bnspec.conformance.checks.examination import Judgement
from bnspec.conformance.judge.judge import COMPLETES, FAILING, Court, Tally, checks_for, finding_of, judge
from bnspec.errors import HarnessError, UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.records import Finding, Incident, TargetFinished, TargetRecord
from bnspec.reports.run.store import RunWriter

#: A target whose process died so often is given up: its remaining cases are counted as never run.
CRASHES_AT_MOST = 5
#: A second worker is opened for a target that has at least so many cases left.
WORTH_ASSISTING = 40


@dataclass(frozen=True)
class Settings:
    """What a run is asked to do besides its targets and cases.

    ``assist``: whether a target may be heard in two workers at once, for which its cases must be known to the last.
    ``environment``: variables of the workers besides those of this process.
    """

    clauses: Sequence[Clause]
    shrink_seconds: float
    case_seconds: float = CASE_SECONDS
    jobs: int = 2
    assist: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


class Cases:
    """The cases of a run and the oracle's answers to them, shared by all targets; drawn as far as the fastest target is.

    ``seconds``: processor time that drawing took.
    """

    def __init__(self, source: Iterable[Case], keep: int = 256) -> None:
        self._source = iter(source)
        self._drawn: list[Case] = []
        self._oracles: collections.OrderedDict[str, Oracle] = collections.OrderedDict()
        self._keep = keep
        self._lock = threading.Lock()
        self.seconds = 0.0

    def __getitem__(self, index: int) -> Case | None:
        """The case, or None after the last one."""
        with self._lock:
            started = time.thread_time()
            while len(self._drawn) <= index:
                case = next(self._source, None)
                if case is None:
                    return None
                self._drawn.append(case)
            self.seconds += time.thread_time() - started
            return self._drawn[index]

    def __len__(self) -> int:
        """How many there are: draws them all."""
        index = len(self._drawn)
        while self[index] is not None:
            index = len(self._drawn)
        return index

    def oracle(self, case: Case) -> Oracle:
        """The case's oracle; the most recently used ones are kept."""
        with self._lock:
            oracle = self._oracles.pop(case.id, None) or Oracle(case)
            self._oracles[case.id] = oracle
            if len(self._oracles) > self._keep:
                self._oracles.popitem(last=False)
            return oracle


class Share:
    """The cases that a target has not heard yet: its own worker takes them from the front, one that assists from the back."""

    def __init__(self, cases: Cases) -> None:
        self._cases, self._lock = cases, threading.Lock()
        self._front, self._back = 0, sys.maxsize

    def first(self) -> tuple[int, Case] | None:
        """The next case from the front, with its number; None when there is none left."""
        with self._lock:
            case = self._cases[self._front] if self._front < self._back else None
            if case is None:
                self._back = min(self._back, self._front)
                return None
            self._front += 1
            return self._front - 1, case

    def last(self) -> tuple[int, Case] | None:
        """The next case from the back."""
        with self._lock:
            self._back = min(self._back, len(self._cases))
            if self._front >= self._back:
                return None
            self._back -= 1
            case = self._cases[self._back]
            assert case is not None  # it is within what there is
            return self._back, case

    @property
    def left(self) -> int:
        """How many cases are left."""
        with self._lock:
            return max(min(self._back, len(self._cases)) - self._front, 0)


@dataclass
class Trial:
    """One target's way through the run."""

    target: Target
    cases: Cases
    settings: Settings
    writer: RunWriter
    progress: Callable[[Target, int, str], None]
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: dict[str, float] = field(default_factory=lambda: collections.defaultdict(float))
    share: Share = field(init=False)
    court: Court | None = None
    assistants: int = 0
    crashes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.share = Share(self.cases)

    def run(self) -> list[Finding]:
        """Open the target, hear every case, shrink what deviates, write everything; returns the findings."""
        entry, device = self.target.entry, self.target.device
        self.progress(self.target, 0, "opening")
        worker = self.open()
        try:
            self.writer.write(target_record(self.target, worker.hello))
            if worker.hello.status != "ready":
                findings = [self.unavailable(c, worker.hello) for c in self.settings.clauses]
            else:
                assert worker.hello.conventions is not None
                findings = self.judged(worker, worker.hello.conventions)
        finally:
            worker.stop()
        for finding in findings:
            self.writer.write(finding)
        self.writer.write(TargetFinished(entry.name, device, dict(self.counts), dict(self.seconds)))
        self.progress(self.target, sum(self.counts.values()), "done")
        return findings

    def open(self) -> Worker:
        """A worker of the target."""
        started = time.perf_counter()
        worker = Worker(self.target.entry, self.target.device, environment={**PATIENT, **self.settings.environment})
        self.spend(open=time.perf_counter() - started)
        return worker

    def spend(self, **seconds: float) -> None:
        """Account for time."""
        with self.changed:
            for name, spent in seconds.items():
                self.seconds[name] += spent

    def judged(self, worker: Worker, conventions: Conventions) -> list[Finding]:
        """``verify``; once the adapter is open, what is malformed is our own doing. Raises HarnessError."""
        try:
            return self.verify(worker, conventions)
        except UsageError as error:
            raise HarnessError(f"{self.target.name}: {error.what}", error.why, "report this with the run.") from error

    def verify(self, worker: Worker, conventions: Conventions) -> list[Finding]:
        """Hear all cases, then say what was found."""
        excuse = known.excuse_for(self.target.entry.name, worker.hello.versions)
        court = Court([c.id for c in self.settings.clauses], conventions, excuse)
        with self.changed:
            self.court = court
        self.hear(worker, court, self.share.first)
        with self.changed:
            self.changed.wait_for(lambda: not self.assistants)
            self.court = None
        self.spend(oracle_cpu=court.oracle_seconds, judge_cpu=-court.oracle_seconds)
        started = time.perf_counter()
        findings = [self.finding(worker, conventions, clause, tally) for clause, tally in court.tallies.items()]
        self.spend(shrink=time.perf_counter() - started)
        return findings

    def assist(self) -> bool:
        """Hear cases from the back in a second worker, while the first goes on from the front; whether there was need."""
        with self.changed:
            court = self.court
            if court is None or self.assistants or self.share.left < WORTH_ASSISTING:
                return False
            self.assistants += 1
        try:
            with self.open() as worker:
                if worker.hello.status == "ready":
                    self.hear(worker, court, self.share.last)
        finally:
            with self.changed:
                self.assistants -= 1
                self.changed.notify_all()
        return True

    def hear(self, worker: Worker, court: Court, following: Callable[[], tuple[int, Case] | None]) -> None:
        """Run and judge the cases that follow, until there is none left."""
        while (taken := following()) is not None:
            index, case = taken
            if self.crashes >= CRASHES_AT_MOST:
                with self.changed:
                    self.counts["not_run"] += 1
                continue
            observation = self.observe(worker, case)
            with self.changed:
                self.counts[observation.status] += 1
                self.crashes += observation.status in ("crashed", "timeout")
            started = time.thread_time()
            court.hear(case, observation, self.cases.oracle(case), index)
            self.spend(judge_cpu=time.thread_time() - started)
            self.note_incidents(case, observation)
            if index % 10 == 0:
                self.progress(self.target, sum(self.counts.values()), "running")

    def observe(self, worker: Worker, case: Case) -> Observation:
        """Run the case; account for the time in the backend and on the wire."""
        started, cpu = time.perf_counter(), time.thread_time()
        observation = worker.run(case, self.settings.case_seconds)
        elapsed = time.perf_counter() - started
        self.spend(
            backend=observation.seconds,
            backend_cpu=observation.cpu_seconds,
            wire=elapsed - observation.seconds,
            wire_cpu=time.thread_time() - cpu,
        )
        return observation

    def note_incidents(self, case: Case, observation: Observation) -> None:
        """Crashes and time-outs, as records with their cases."""
        if observation.status in ("crashed", "timeout"):
            path = self.writer.save_case(case)
            entry, device = self.target.entry.name, self.target.device
            self.writer.write(Incident(entry, device, path, observation.status, None, observation.message))

    def finding(self, worker: Worker, conventions: Conventions, clause: str, tally: Tally) -> Finding:
        """The tally as a finding, with its worst and its smallest case saved when it deviates."""
        name, device = self.target.entry.name, self.target.device
        if tally.verdict not in FAILING or tally.failing is None:
            return finding_of(clause, tally, name, device)
        assert tally.worst_case is not None
        worst = self.writer.save_case(tally.worst_case)
        if clause == COMPLETES:
            return finding_of(clause, tally, name, device, case=worst, shrunk=self.writer.save_case(tally.failing))
        self.progress(self.target, sum(self.counts.values()), f"shrinking {clause}")
        smallest, judgement = self.smallest(worker, conventions, clause, tally.failing)
        return finding_of(
            clause,
            tally,
            name,
            device,
            case=worst,
            shrunk=self.writer.save_case(smallest),
            message=judgement.message or describe(judgement),
            evidence={**judgement.evidence, "ratio": _json_ratio(judgement.ratio)},
        )

    def smallest(self, worker: Worker, conventions: Conventions, clause: str, case: Case) -> tuple[Case, Judgement]:
        """The case, shrunk for the clause alone, and its judgement there."""
        checks = checks_for([clause])
        last: dict[str, Judgement] = {}

        def fails(candidate: Case) -> bool:
            observation = self.observe(worker, candidate)
            if observation.status in ("crashed", "timeout"):
                return False
            judgement = judge(candidate, observation, conventions, Oracle(candidate), checks).get(clause)
            if judgement is None or judgement.holds:
                return False
            last[candidate.id] = judgement
            return True

        if not fails(case):  # not repeatable: say what was seen first
            return case, Judgement(float("inf"), {}, "seen once, and not again when the case was repeated")
        smallest = shrink(case, fails, self.settings.shrink_seconds)
        return smallest, last[smallest.id]

    def unavailable(self, clause: Clause, hello: Hello) -> Finding:
        """The finding of a target that did not open."""
        name, device = self.target.entry.name, self.target.device
        message = f"{hello.status}: {hello.reason}"
        return Finding(clause.id, clause.family, clause.level, name, device, "unavailable", 0, 0, 0, None, message)


def describe(judgement: Judgement) -> str:
    """One line: what was expected, what came."""
    e = judgement.evidence
    if "expected" not in e or "got" not in e:
        return ""
    where = f"{e.get('output')}{e.get('index', '')} of {e.get('call')}"
    bound = f", {judgement.ratio:.3g} times the bound" if "bound" in e else ""
    return f"{where} is {e['got']}, expected {e['expected']}{bound}"


def _json_ratio(ratio: float) -> float | str:
    return ratio if ratio < float("inf") else "inf"


def target_record(target: Target, hello: Hello) -> TargetRecord:
    """What the target said when it was opened."""
    conventions = hello.conventions.to_json() if hello.conventions else {}
    framework = str(hello.details.get("framework", ""))
    versions = {str(k): str(v) for k, v in hello.versions.items()}
    return TargetRecord(target.entry.name, target.device, hello.status, hello.reason, framework, versions, conventions)
