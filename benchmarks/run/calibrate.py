"""``bnspec calibrate``: backends compared with themselves (A/A tests), in fresh processes that alternate as those of a bench do.

A family is one replicate run: two contenders with the same code, several pairs of processes, every workload. The statistics are
in ``bnspec.benchmarks.statistics.calibration``; raw samples stay in the run directory.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnspec.backends.harness.interruption import check, resumable, stoppable
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.benchmarks.statistics import calibration as statistics
from bnspec.benchmarks.statistics.calibration import Calibration
from bnspec.benchmarks.statistics.proportions import Proportion
from bnspec.benchmarks.statistics.self_comparison import SelfComparison, self_comparison
from bnspec.benchmarks.timing.case_cache import CaseCache
from bnspec.benchmarks.timing.contender import Contender
from bnspec.benchmarks.timing.measure import measure, target_record
from bnspec.benchmarks.workloads.suites import SUITES
from bnspec.cli import CONFORMS
from bnspec.errors import HarnessError
from bnspec.reports.run.machine import describe_machine
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import RunFinished, Timing, workload_id
from bnspec.reports.run.resume import Begun, begun, resume_command
from bnspec.reports.run.store import RunWriter, write_atomically
from bnspec.terminal.console import line, show, table, terminal, verbatim
from bnspec.terminal.progress import Progress

#: Where the latest calibration is kept for later runs from the same folder.
KEPT = Path("runs") / "calibration.json"
#: The second side of a comparison is marked so.
AGAIN: dict[str, str | int] = {"arm": "again"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Backends to compare with themselves, at least so many comparisons in all, pairs of processes in each."""

    backends: Sequence[str]
    comparisons: int
    pairs: int
    seconds: float
    seed: int = 1
    out: Path | None = None
    resume: Path | None = None
    limits: Limits = dataclasses.field(default_factory=Limits)
    devices: Sequence[str] = ()


#: The options that an interrupted run must share with the call that resumes it.
SAME = ("backends", "comparisons", "pairs", "seconds", "workloads")


def calibrate(plan: Plan, command: str, quiet: bool = False) -> tuple[Calibration, Path]:
    """Measure; returns the calibration and the run directory.

    Raises UsageError: there is no such backend. HarnessError: a backend could not be timed.
    """
    with stoppable():
        return _calibrate(plan, command, quiet)


def _calibrate(plan: Plan, command: str, quiet: bool) -> tuple[Calibration, Path]:
    targets = targets_of(plan.backends, plan.devices)
    listed = SUITES["short"]
    options = {
        "backends": [t.name if not t.on_host else t.entry.name for t in targets],
        "limits": plan.limits.to_json(),
        "comparisons": plan.comparisons,
        "pairs": plan.pairs,
        "seconds": plan.seconds,
        "workloads": [w.id for w in listed],
    }
    manifest = new_manifest("calibrate", command, plan.seed, "short", options)
    run = begun(manifest, plan.out, plan.resume, SAME)
    resumable(resume_command(command, run.writer.path))
    with run.writer as writer, Progress(quiet) as progress:
        gathering = Gathering(plan, targets, writer, progress)
        gathering.recall(run)
        while gathering.comparisons < plan.comparisons or gathering.families < 2 * len(targets):
            gathering.family()
        for target in targets:
            progress.end(target.name, f"done, {gathering.comparisons} comparisons in all")
        check()
        writer.write(RunFinished(finished_now(), CONFORMS, {}))
    found = statistics.calibrate(gathering.measured)
    keep(found, plan, writer.path)
    return found, writer.path


@dataclasses.dataclass
class Gathering:
    """The measurements so far."""

    plan: Plan
    targets: Sequence[Target]
    writer: RunWriter
    progress: Progress
    measured: list[SelfComparison] = dataclasses.field(default_factory=list)
    families: int = 0

    def __post_init__(self) -> None:
        self.cases, self.random = CaseCache(self.plan.seed), random.Random(self.plan.seed)

    @property
    def comparisons(self) -> int:
        """How many comparisons there are."""
        return len(self.measured)

    def family(self) -> None:
        """One replicate run of the next backend: its pairs of processes."""
        target = self.targets[self.families % len(self.targets)]
        doing = f"replicate run {self.families + 1}, comparisons"
        self.progress.update(target.name, doing, self.comparisons, self.plan.comparisons)
        arms: dict[tuple[str, bool], list[Sequence[int]]] = collections.defaultdict(list)
        for pair in range(self.plan.pairs):
            order = [False, True]
            self.random.shuffle(order)
            for again in order:
                for timing in self.process(target, self.families * self.plan.pairs + pair, again):
                    arms[workload_id(timing), again].append(timing.samples_ns)
        self.compare(target, arms)
        self.writer.done("family", self.families - 1)

    def recall(self, begun: Begun) -> None:
        """Take over the replicate runs that an interrupted run has finished."""
        timings = begun.run.timings if begun.run is not None else ()
        while ("family", self.families) in begun.units:
            arms: dict[tuple[str, bool], list[Sequence[int]]] = collections.defaultdict(list)
            first = self.families * self.plan.pairs
            own = [t for t in timings if first <= t.process < first + self.plan.pairs and t.samples_ns]
            for timing in sorted(own, key=lambda t: t.process):
                arms[workload_id(timing), timing.conditions == AGAIN].append(timing.samples_ns)
            self.compare(self.targets[self.families % len(self.targets)], arms)

    def compare(self, target: Target, arms: dict[tuple[str, bool], list[Sequence[int]]]) -> None:
        """Count a replicate run. ``arms``: by workload and side, the samples of each process."""
        called = target.entry.name if target.on_host else target.name
        name = f"{called} {self.families}"
        whole = [w for w, again in arms if not again and len(arms[w, True]) == len(arms[w, False]) == self.plan.pairs]
        self.measured += [self_comparison(f"{called} {w}", name, arms[w, False], arms[w, True]) for w in whole]
        self.families += 1
        if not whole:
            raise HarnessError(
                f"{target.name} could not be timed.", "no workload has samples.", "choose another backend."
            )

    def process(self, target: Target, number: int, again: bool) -> list[Timing]:
        """A fresh process: every workload once, in random order; returns the timings with samples."""
        timed = []
        with Contender(target, limits=self.plan.limits).open() as worker:
            if worker.hello.status != "ready":
                raise HarnessError(
                    f"{target.name} is {worker.hello.status}.", f"{worker.hello.reason}.", "choose another backend."
                )
            if self.families < len(self.targets) and number % self.plan.pairs == 0 and not again:
                self.writer.write(target_record(worker))
            order = list(SUITES["short"])
            self.random.shuffle(order)
            for workload in order:
                timed_case, options = self.cases.get(workload), {"seconds": self.plan.seconds}
                timing, _ = measure(worker, timed_case, options, AGAIN if again else {}, number)
                self.writer.write(timing)
                timed += [timing] if timing.samples_ns else []
        return timed


def keep(found: Calibration, plan: Plan, path: Path) -> None:
    """Write the calibration where later runs read it."""
    data = {
        "machine": describe_machine(),
        "made": finished_now(),
        "backends": list(plan.backends),
        "run": path.name,
        "calibration": found.to_json(),
    }
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(KEPT, json.dumps(data, indent=1) + "\n")


def kept() -> dict[str, Any] | None:
    """A summary of the latest calibration of this machine; None where there is none."""
    try:
        data = json.loads(KEPT.read_text())
        if data["machine"] != describe_machine():
            return None
        found = Calibration.from_json(data["calibration"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ours = found.rules[0].false_alarms
    return {
        "made": data["made"],
        "comparisons": found.comparisons,
        "pairs": list(found.pairs),
        "false_alarms": ours.count,
        "detectable_ratio": found.detectable_ratio,
    }


def calibrated(summary: dict[str, Any] | None) -> list[str]:
    """What the latest calibration says about a run's verdicts, in lines for people."""
    if summary is None:
        return [
            "",
            "This machine is not calibrated: bnspec calibrate measures its false alarms and its minimum detectable effect.",
        ]
    words = f"Calibrated {summary['made'][:10]}: {summary['false_alarms']} false alarms in {summary['comparisons']} comparisons"
    if summary["detectable_ratio"]:
        percent = 100 * (summary["detectable_ratio"] - 1)
        words += f"; with {summary['pairs'][0]} processes the minimum detectable effect is {percent:.1f} % (found 4 times in 5)"
    return ["", words + "."]


def print_calibration(found: Calibration, path: Path) -> None:
    """Print the table: our rule and those of other tools on the same data."""
    console = terminal()
    low, high = found.pairs
    pairs = low if low == high else f"{low} to {high}"
    line(
        console,
        f"{found.comparisons} comparisons of a backend with itself: {found.cells} cells in {found.families} replicate runs, "
        f"{pairs} pairs of processes each",
    )
    line(console)
    shown = ("false alarms", "at most", "slowdowns found", "in every other cell", "false discoveries")
    rules = table(console, "rule", *shown, right=shown)
    for record in found.rules:
        alarms = record.false_alarms
        most = f"{100 * alarms.at_most:.1f} %" if alarms.of else ""
        found_shares = (_proportion(p) for p in (record.found, record.mixed_found, record.false_discoveries))
        rules.add_row(record.rule, _proportion(alarms), most, *found_shares)
    show(console, rules)
    line(console)
    if found.detectable_ratio:
        percent = 100 * (found.detectable_ratio - 1)
        line(
            console,
            f"Minimum detectable effect: a slowdown of {percent:.1f} % is found in at least {100 * found.power:.0f} of 100 "
            "comparisons (95 % confidence; estimated on half of the replicate runs, the slowdowns above are in the other half).",
        )
    else:
        line(console, "Minimum detectable effect: none in these data; make more comparisons.")
    verbatim(console, f"\n{path}\n{KEPT}")


def _proportion(p: Proportion) -> str:
    return "-" if not p.of else f"{p.count}/{p.of} = {100 * p.count / p.of:.1f} %"
