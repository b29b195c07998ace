"""A verify run as units on an engine: each comes back as a run directory, is kept once, and all become one run.

The units of ``--out runs/mine`` are kept in ``runs/mine.units`` until they are merged. An interrupted run has those that came
back there, and ``--resume runs/mine`` runs the others.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from bnspec.backends.harness.interruption import check, resumable, stoppable
from bnspec.conformance.cluster.archive import unpacked
from bnspec.conformance.cluster.merged import merge_units
from bnspec.conformance.cluster.plan import PLAN, Plan, Unit, plan_of, read_plan, write_plan
from bnspec.conformance.cluster.unit import FINISHED, folder_of, whole
from bnspec.conformance.run.verify import VerifyRequest
from bnspec.errors import HarnessError, UsageError
from bnspec.printable import clean
from bnspec.reports.run.lock import Lock
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.resume import resume_command
from bnspec.reports.run.store import Run, read_run, refuse_occupied
from bnspec.terminal.console import terminal, verbatim
from bnspec.terminal.progress import Progress

#: Shards of each target where the call does not say.
SHARDS = 4


class Returned(NamedTuple):
    """A unit whose process has ended: its exit status, its last words, its run directory (see ``unit.packed``), and the machine."""

    unit: Unit
    status: int
    said: str
    data: bytes
    node: str = ""


class Engine(Protocol):
    """Runs units somewhere; a context manager, whose end leaves nothing running."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *_: object) -> None: ...

    def results(self, units: Sequence[Unit]) -> Iterator[Returned]:
        """Each unit once, in the order in which they end; a unit whose machine is lost is run again.

        Raises HarnessError: it is lost each time. ``check()`` is called at least once a second.
        """


@dataclass(frozen=True)
class Spread:
    """How a call is spread: units of each target (None: as before, or 4), their label, and memory as the call gives it."""

    shards: int | None = None
    label: str | None = None
    memory_gib: float | None = None


@dataclass(frozen=True)
class Cost:
    """Seconds: the run's from begin to end, its units' together, and processor time of planning, sending and keeping."""

    wall: float
    units: float
    planner: float

    def __str__(self) -> str:
        share = self.planner / self.units if self.units else 0.0
        return (
            f"{self.wall:.1f} s for {self.units:.1f} s of units; planning, sending and keeping took {self.planner:.2f} s "
            f"of processor time, {share:.1%} of that"
        )


def verify_on(
    engine: Engine, request: VerifyRequest, spread: Spread, command: str, quiet: bool = False
) -> tuple[Run, int]:
    """Run it; returns the merged run and its exit status, and prints what it cost.

    Raises UsageError: as ``verify`` does, or an interrupted run has other units. HarnessError: a unit cannot be run.
    """
    with stoppable():
        return _verify_on(engine, request, spread, command, quiet)


def _verify_on(engine: Engine, request: VerifyRequest, spread: Spread, command: str, quiet: bool) -> tuple[Run, int]:
    began, busy = time.monotonic(), time.process_time()
    out = request.resume or request.out or Path("runs") / new_manifest("verify", command, 1, "", {}).id
    refuse_occupied(out)
    units = out.with_name(out.name + ".units")
    plan = _planned(request, spread, units, command)
    with contextlib.ExitStack() as stack:
        with engine, Progress(quiet) as progress:
            write_plan(units, plan)  # where the engine cannot be reached nothing is begun
            stack.callback(Lock(units).close)
            resumable(resume_command(command, out))
            left = [u for u in plan.units if not whole(folder_of(units / PLAN, u.number))]
            had = len(plan.units) - len(left)
            progress.update("units", "running", had, len(plan.units))
            for number, returned in enumerate(engine.results(left), had + 1):
                _keep(returned, units)
                unit = returned.unit
                where = f", on {returned.node}" if returned.node else ""
                progress.end(f"{unit.backend}@{unit.device} {unit.shard}/{plan.shards}", f"done{where}")
                progress.update("units", "running", number, len(plan.units))
        check()
        spent = time.process_time() - busy
        seconds = sum(_wall(read_run(folder_of(units / PLAN, u.number))) for u in plan.units)
        merged = merge_units(plan, units, out, command)
    shutil.rmtree(units)
    if not quiet:
        verbatim(terminal(stderr=True), f"units: {Cost(time.monotonic() - began, seconds, spent)}")
    finished = merged.finished
    assert finished is not None
    return merged, finished.exit_status


def _planned(request: VerifyRequest, spread: Spread, units: Path, command: str) -> Plan:
    """The plan of the call; an interrupted run's has the shards it was begun with."""
    if request.resume is None:
        refuse_occupied(units)
        return plan_of(request, spread.shards or SHARDS, command, spread.label, spread.memory_gib)
    old = read_plan(units)
    plan = plan_of(request, spread.shards or old.shards, old.command, spread.label, spread.memory_gib)
    if plan != old:
        raise UsageError(
            f"{request.resume} was started with other arguments.",
            "its units are not those of this call.",
            "resume with the arguments and the version of bnspec that it was started with.",
        )
    return plan


def _keep(returned: Returned, units: Path) -> None:
    """Put a unit's run among those that came back. Raises HarnessError: it is not whole."""
    unit = returned.unit
    if returned.status not in FINISHED or not returned.data:
        last = clean(" ".join(returned.said.split()))[-600:]
        raise HarnessError(
            f"unit {unit.number} ({unit.backend}@{unit.device}, shard {unit.shard}) ended with status {returned.status}.",
            f"it said: {last}" if last else "it said nothing.",
            "see to the machines' Python (--unit-python, --runtime-env); then go on with --resume.",
        )
    path = folder_of(units / PLAN, unit.number)
    unpacked(returned.data, path)
    if not whole(path):
        shutil.rmtree(path)
        raise HarnessError(f"unit {unit.number} sent a run that is not whole.", "its last line is missing.", "resume.")


def _wall(run: Run) -> float:
    return 0.0 if run.finished is None else run.finished.seconds.get("wall", 0.0)
