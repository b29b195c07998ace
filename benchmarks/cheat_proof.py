"""The test of the probes: each cheating backend is rejected by the probe that is there for it, and no honest backend by any."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from bnspec.backends.harness.registry import Entry, select
from bnspec.backends.harness.targets import Target
from bnspec.benchmarks.cheats import CHEATS
from bnspec.benchmarks.timing.case_cache import Larder
from bnspec.benchmarks.timing.contenders import Contender
from bnspec.benchmarks.timing.measure import measure
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.reports.run.records import Timing, contender, workload_id
from bnspec.terminal.console import line, show, table, terminal
from bnspec.terminal.progress import Progress

#: The shapes they are timed on: a call short enough to be timed in blocks, and one of a few milliseconds.
SHAPES = ((32, 16), (4096, 64))
HONEST_PASSES = ("training", "training_gradients", "inference", "frozen")


@dataclasses.dataclass(frozen=True)
class Trial:
    """A cheating or an honest backend on one workload.

    Attributes:
        name: of the backend; workload: its id; honest: whether the backend does its work.
        expected: the probe that must reject a cheating backend; empty for an honest one.
        timing: the result, with the probes' objections.
    """

    name: str
    workload: str
    honest: bool
    expected: str
    timing: Timing

    @property
    def objections(self) -> dict[str, str]:
        """The probes that object, with their messages."""
        return {name: said for name, said in self.timing.probes.items() if said}

    @property
    def right(self) -> bool:
        """Whether the expected probe rejects a cheating backend, and no probe an honest one."""
        if self.honest:
            return not self.objections
        return self.timing.verdict == "rejected" and self.expected in self.objections

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        return {
            "name": self.name, "workload": self.workload, "honest": self.honest, "expected": self.expected,
            "verdict": self.timing.verdict, "objections": self.objections, "right": self.right,
        }  # fmt: skip


def prove(backends: Sequence[str], seconds: float, seed: int = 1, quiet: bool = False) -> list[Trial]:
    """Time every cheating backend, and these honest ones. Raises UsageError: there is no such backend."""
    honest = select(backends)
    larder = Larder(seed)
    trials: list[Trial] = []
    with Progress(quiet) as progress:
        for name, (p, probe) in CHEATS.items():
            progress.update("cheating backends", name, len(trials))
            trials += _cheat(name, p, probe, larder, seconds)
        progress.end("cheating backends", f"done, {len(trials)} cells")
        for entry in honest:
            progress.update(entry.name, "honest")
            trials += _honest(entry, larder, seconds)
            progress.end(entry.name, "done")
    return trials


def _cheat(name: str, pass_name: str, probe: str, larder: Larder, seconds: float) -> Iterator[Trial]:
    entry = Entry(name, f"bnspec.benchmarks.cheats.backends:{name}")
    for timing in _timed(entry, [pass_name], larder, seconds):
        yield Trial(name, workload_id(timing), False, probe, timing)


def _honest(entry: Entry, larder: Larder, seconds: float) -> Iterator[Trial]:
    for timing in _timed(entry, HONEST_PASSES, larder, seconds):
        yield Trial(contender(timing), workload_id(timing), True, "", timing)


def _timed(entry: Entry, passes: Sequence[str], larder: Larder, seconds: float) -> Iterator[Timing]:
    with Contender(Target(entry, "cpu")).open() as worker:
        for shape in SHAPES:
            for pass_name in passes:
                workload = Workload("proof of the probes", shape, 1, "float32", pass_name)
                yield measure(worker, larder.prepared(workload), {"seconds": seconds, "probes": True})[0]


def print_trials(trials: Sequence[Trial]) -> None:
    """Print a row for each trial, and the counts."""
    console = terminal()
    listed = table(console, "", "backend", "workload", "verdict", "objections")
    for trial in trials:
        said = "; ".join(f"{name}: {text}" for name, text in trial.objections.items()) or "no objection"
        listed.add_row("ok" if trial.right else "WRONG", trial.name, trial.workload, trial.timing.verdict, said)
    show(console, listed)
    cheats, honest = ([t for t in trials if t.honest is kind] for kind in (False, True))
    rejected, accused = sum(t.right for t in cheats), sum(not t.right for t in honest)
    line(console)
    line(
        console,
        f"{rejected} of {len(cheats)} cheats rejected by their own probe, {accused} of {len(honest)} honest cells rejected",
    )
