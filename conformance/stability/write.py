"""A stability study into a run directory: each point as it is measured, then what follows from the points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bnspec.backends.harness.interruption import check, resumable, stoppable
from bnspec.backends.harness.targets import targets_of
from bnspec.cli import CONFORMS, FAILED
from bnspec.conformance.stability.data import Spot
from bnspec.conformance.stability.measuring import Point, Subject, unit_of
from bnspec.conformance.stability.records import point_record, records, target_record
from bnspec.conformance.stability.run import StabilityRequest, Study, effort_of, environment, study
from bnspec.reports.run.codec import plain
from bnspec.reports.run.journal import UnitDone
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import RunFinished
from bnspec.reports.run.resume import begun, resume_command
from bnspec.reports.run.store import Run, read_run


def write_study(request: StabilityRequest, out: Path | None, quiet: bool = False) -> tuple[Study, Run]:
    """Measure and write; an interrupted study keeps the points that it has measured.

    Raises: UsageError: a backend or device that is none, or a folder that holds something.
    """
    with stoppable():
        return _write_study(request, out, quiet)


def _write_study(request: StabilityRequest, out: Path | None, quiet: bool) -> tuple[Study, Run]:
    targets, effort = targets_of(request.backends, request.devices), effort_of(request)
    options = {
        "targets": [t.name for t in targets],
        "dtypes": list(effort.dtypes),
        "outputs": list(request.outputs),
        "threads": list(request.threads),
        "seeds_per_point": effort.seeds,
        "limits": request.limits.to_json(),
        "environment": {str(n or "unset"): environment(n) for n in effort.threads},
    }
    manifest = new_manifest("stability", request.command, request.seed, request.effort, options)
    run = begun(manifest, out, request.resume, ("targets", "dtypes", "outputs", "threads", "seeds_per_point"))
    resumable(resume_command(request.command, run.writer.path))
    units = dict(run.units)
    with run.writer as writer:

        def opening(subjects: Sequence[Subject]) -> None:
            for record in {(s.target.entry.name, s.target.device): target_record(s) for s in subjects}.values():
                writer.write(record)

        def recalled(subject: str, spot: Spot) -> Point | None:
            entry = units.get(unit_of(subject, spot))
            if entry is None:
                return None
            try:
                return Point.recalled(subject, spot, entry.data)
            except (AttributeError, LookupError, TypeError, ValueError):  # not what was kept: it is measured again
                del units[entry.unit]
                return None

        def measured(subject: Subject, point: Point) -> None:
            check()
            if point.unit not in units:
                writer.write(point_record(subject, point))
                writer.journal(UnitDone(point.unit, writer.at, plain(point.kept())))

        done = study(request, quiet, opening, measured, recalled)
        check()
        for record in records(done):
            writer.write(record)
        status = CONFORMS if done.measured else FAILED
        writer.write(RunFinished(finished_now(), status, {"wall": run.seconds_before + done.head["seconds"]}))
    return done, read_run(writer.path)
