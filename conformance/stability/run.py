"""A stability study from a command's arguments to its results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bnspec import __version__
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import targets_of
from bnspec.conformance.stability.data import Spot
from bnspec.conformance.stability.measuring import (
    THREAD_VARIABLES,
    Point,
    Subject,
    measure,
    opened,
    thread_environment,
)
from bnspec.conformance.stability.plan import Effort, efforts, spots
from bnspec.conformance.stability.study import Missing, Reach, Row, missing, reach, rows
from bnspec.errors import UsageError
from bnspec.reports.run.machine import describe_machine
from bnspec.terminal.progress import Progress

#: The whole study is one part of the progress: all backends are measured side by side.
PART = "stability"


@dataclass(frozen=True)
class StabilityRequest:
    """What ``bnspec stability`` was asked for; no dtypes and no threads: the effort's."""

    backends: Sequence[str]
    devices: Sequence[str]
    dtypes: Sequence[str]
    outputs: Sequence[str]
    threads: tuple[int, ...]
    seed: int
    effort: str
    command: str
    resume: Path | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, eq=False)
class Study:
    """All that was measured, and what it says.

    Attributes:
        head: how it was made: command, version, machine, seed, seconds.
        subjects: who was asked; points: every point; table, missing, reach: see ``study``.
    """

    head: dict[str, Any]
    subjects: Sequence[Subject]
    points: Sequence[Point]
    table: Sequence[Row]
    missing: Sequence[Missing]
    reach: Sequence[Reach]

    @property
    def measured(self) -> bool:
        """Whether any point was measured."""
        return any(p.status == "ok" for p in self.points)

    def summary(self) -> dict[str, Any]:
        """All but the points, JSON-ready."""
        return {
            "study": self.head,
            "backends": [_subject_json(s) for s in self.subjects],
            "rows": [r.to_json() for r in self.table],
            "missing": [asdict(m) for m in self.missing],
            "reach": [asdict(r) for r in self.reach],
        }

    def to_json(self) -> dict[str, Any]:
        """The whole, JSON-ready."""
        return {**self.summary(), "points": [p.to_json() for p in self.points]}


def study(
    request: StabilityRequest,
    quiet: bool = False,
    opening: Callable[[Sequence[Subject]], None] = lambda subjects: None,
    measured: Callable[[Subject, Point], None] = lambda subject, point: None,
    recalled: Callable[[str, Spot], Point | None] = lambda subject, spot: None,
) -> Study:
    """Measure; ``opening`` gets the subjects once they are open, ``measured`` each point as it comes.

    ``recalled``: the point of an interrupted study, None where it has none.

    Raises UsageError: a backend or device that is none.
    """
    targets = targets_of(request.backends, request.devices)
    effort = effort_of(request)
    started, clock = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.perf_counter()
    with (
        Progress(quiet) as progress,
        opened(targets, effort.threads, partial(progress.update, PART), request.limits, request.threads) as workers,
    ):
        opening(list(workers))
        by_name = {s.name: s for s in workers}
        ready = [s for s in workers if s.measurable]
        parameters = {
            d: list(dict.fromkeys(s.parameter_dtype(d) for s in ready if d in s.conventions.dtypes))
            for d in effort.dtypes
        }
        plan = spots(effort, effort.dtypes, parameters, request.seed)
        points = []
        for point in measure(workers, plan, request.outputs, partial(progress.update, PART), recalled):
            measured(by_name[point.subject], point)
            points.append(point)
        subjects = list(workers)
        progress.end(PART, f"done, {len(points)} points")
    head = {
        "bnspec": __version__,
        "command": request.command,
        "started": started,
        "seconds": round(time.perf_counter() - clock, 1),
        "seed": request.seed,
        "effort": request.effort,
        "seeds_per_point": effort.seeds,
        "machine": describe_machine(),
    }
    table = rows(points) if points else []
    return Study(head, subjects, points, table, missing(subjects, points, effort.forms, effort.dtypes), reach(points))


def effort_of(request: StabilityRequest) -> Effort:
    """The effort with what the request names in its place. Raises UsageError: more threads than there are processors."""
    usable = int(describe_machine()["usable_cores"])
    if many := [n for n in request.threads if n > usable]:
        raise UsageError(
            f"{many[0]} threads are too many.",
            f"this process may use {usable} processors, and each thread needs one of its own.",
            f"give at most {usable}.",
        )
    effort = efforts()[request.effort]
    if request.dtypes:
        effort = replace(effort, dtypes=tuple(dict.fromkeys(request.dtypes)))
    return replace(effort, threads=tuple(dict.fromkeys(request.threads))) if request.threads else effort


def environment(threads: int) -> dict[str, str]:
    """What decides the number of threads of a worker: what it inherits, and what is asked for."""
    names = (*THREAD_VARIABLES, "XLA_FLAGS")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    return {**inherited, **thread_environment(threads)}


def _subject_json(subject: Subject) -> dict[str, Any]:
    return {
        "name": subject.name,
        "backend": subject.target.entry.name,
        "device": subject.target.device,
        "status": subject.hello.status,
        "reason": subject.hello.reason,
        "versions": dict(subject.hello.versions),
        "threads": subject.threads or None,
        "environment": environment(subject.threads),
    }
