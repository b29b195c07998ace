"""A check of the probes: every cheating backend is rejected by its own probe, and no honest backend by any."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from bnspec.backends.harness.interruption import stoppable
from bnspec.backends.harness.registry import Entry
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.benchmarks.cheats import CHEATS
from bnspec.benchmarks.timing.case_cache import CaseCache
from bnspec.benchmarks.timing.contender import Contender
from bnspec.benchmarks.timing.measure import measure
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.errors import UsageError
from bnspec.reports.run.records import Timing, contender, workload_id
from bnspec.terminal.console import line, show, table, terminal
from bnspec.terminal.progress import Progress

#: Cheats and honest backends run on both: a call short enough to be timed in blocks, and one of a few milliseconds.
SHAPES = ((32, 16), (4096, 64))
#: The cheat for devices.
ON_DEVICE = "NoWait"
HONEST_PASSES = ("training", "training_gradients", "inference", "frozen")


@dataclasses.dataclass(frozen=True)
class ProbeCheck:
    """A cheating or an honest backend on one workload.

    Attributes:
        name: the backend's; workload: its id; honest: whether the backend does the timed work.
        expected: the probe that must reject a cheat; empty for an honest backend.
        timing: the result, with the probes' messages.
    """

    name: str
    workload: str
    honest: bool
    expected: str
    timing: Timing

    @property
    def rejections(self) -> dict[str, str]:
        """The probes that reject the timing, with their messages."""
        return {name: message for name, message in self.timing.probes.items() if message}

    @property
    def right(self) -> bool:
        """Whether the outcome is the right one."""
        if self.honest:
            return not self.rejections
        return self.timing.verdict == "rejected" and self.expected in self.rejections

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        return {
            "name": self.name, "workload": self.workload, "honest": self.honest, "expected": self.expected,
            "verdict": self.timing.verdict, "rejections": self.rejections, "right": self.right,
        }  # fmt: skip


def check_probes(
    backends: Sequence[str], seconds: float, seed: int = 1, quiet: bool = False, devices: Sequence[str] = ()
) -> list[ProbeCheck]:
    """Check every cheat, and these honest backends on these devices. The cheats run on the CPU, and one on each other device.

    Raises UsageError: there is no such backend or device.
    """
    honest = targets_of(backends, devices)
    cases = CaseCache(seed)
    checks: list[ProbeCheck] = []
    with stoppable(), Progress(quiet) as progress:
        for name, (pass_name, probe) in CHEATS.items():
            progress.update("cheating backends", name, len(checks))
            checks += _cheat(name, pass_name, probe, cases, seconds)
        for device in dict.fromkeys(t.device for t in honest if not t.on_host):
            checks += _cheat(ON_DEVICE, "training", "waits_for_its_results", cases, seconds, device)
        progress.end("cheating backends", f"done, {len(checks)} cells")
        for target in honest:
            progress.update(target.name, "honest")
            checks += _honest(target, cases, seconds)
            progress.end(target.name, "done")
    return checks


def _cheat(
    name: str, pass_name: str, probe: str, cases: CaseCache, seconds: float, device: str = "cpu"
) -> Iterator[ProbeCheck]:
    module = "backends" if device == "cpu" else "on_device"
    target = Target(Entry(name, f"bnspec.benchmarks.cheats.{module}:{name}"), device)
    for timing in _timed(target, [pass_name], cases, seconds):
        called = name if device == "cpu" else target.name
        yield ProbeCheck(called, workload_id(timing), False, probe, timing)


def _honest(target: Target, cases: CaseCache, seconds: float) -> Iterator[ProbeCheck]:
    for timing in _timed(target, HONEST_PASSES, cases, seconds):
        yield ProbeCheck(contender(timing), workload_id(timing), True, "", timing)


def _timed(target: Target, passes: Sequence[str], cases: CaseCache, seconds: float) -> Iterator[Timing]:
    with Contender(target).open() as worker:
        if worker.hello.status != "ready":
            raise UsageError(
                f"{target.name} is {worker.hello.status}.",
                f"{worker.hello.reason}.",
                "bnspec backends shows what is ready.",
            )
        for shape in SHAPES:
            for pass_name in passes:
                workload = Workload("check of the probes", shape, 1, "float32", pass_name)
                yield measure(worker, cases.get(workload), {"seconds": seconds, "probes": True})[0]


def print_checks(checks: Sequence[ProbeCheck]) -> None:
    """Print a row for each check, and the counts."""
    console = terminal()
    listed = table(console, "", "backend", "workload", "verdict", "rejections")
    for check in checks:
        messages = "; ".join(f"{name}: {text}" for name, text in check.rejections.items()) or "passed by every probe"
        listed.add_row("ok" if check.right else "WRONG", check.name, check.workload, check.timing.verdict, messages)
    show(console, listed)
    cheats, honest = ([c for c in checks if c.honest is kind] for kind in (False, True))
    caught, rejected = sum(c.right for c in cheats), sum(not c.right for c in honest)
    line(console)
    line(
        console,
        f"{caught} of {len(cheats)} cheats rejected by their own probe, {rejected} of {len(honest)} honest cells rejected",
    )
