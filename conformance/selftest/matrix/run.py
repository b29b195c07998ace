"""The kill matrix from a command's arguments to its run directory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from bnspec.backends.harness.interruption import check, resumable, stoppable
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.targets import DEVICE, targets_of
from bnspec.cli import CONFORMS, DEVIATES
from bnspec.conformance.cases.effort import EffortName
from bnspec.conformance.selftest.catalogue.catalogue import MUTANTS, select
from bnspec.conformance.selftest.matrix import matrix as matrices
from bnspec.conformance.selftest.matrix.matrix import HERE, Found, Journal, Matrix, Place, Seconds, kill_matrix
from bnspec.conformance.selftest.matrix.table import Row, kills_by_clause, row_of
from bnspec.errors import UsageError
from bnspec.reports.run.codec import plain
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.mutants import Accusation, ClauseKills, KillMatrix, Mutant, Variant
from bnspec.reports.run.records import RunFinished
from bnspec.reports.run.resume import Begun, begun, resume_command
from bnspec.reports.run.store import RunWriter
from bnspec.terminal.progress import Progress


@dataclass(frozen=True)
class MatrixRequest:
    """What ``bnspec mutants`` was asked for.

    Attributes:
        device, backend: where mutants compute, and in the tensors of which backend; see ``place_of``.
    """

    names: Sequence[str]
    kind: str
    effort: EffortName
    seeds: Sequence[int]
    jobs: int
    until_killed: bool
    resume: Path | None = None
    device: str = "cpu"
    backend: str = ""

    @property
    def whole(self) -> bool:
        """Whether every mutant is run on every case: only then a clause that kills nothing is mistrusted."""
        return not self.names and self.kind != "variant" and not self.until_killed


@dataclass(frozen=True)
class Done:
    """The matrix, its rows, its run directory, and the exit status."""

    matrix: Matrix
    rows: Sequence[Row]
    path: Path
    status: int


def run_matrix(request: MatrixRequest, out: Path | None, command: str, quiet: bool = False) -> Done:
    """Run and write; exit status 1 when a mutant survives, is killed for other reasons only, or a variant is accused.

    Raises: UsageError: a name that matches nothing, or a folder that holds something.
    """
    with stoppable():
        return _run_matrix(request, out, command, quiet)


def _run_matrix(request: MatrixRequest, out: Path | None, command: str, quiet: bool) -> Done:
    chosen, place = select(request.names, request.kind), place_of(request.device, request.backend)
    options: dict[str, Any] = {
        "names": list(request.names),
        "kind": request.kind,
        "seeds": list(request.seeds),
        "jobs": request.jobs,
        "until_killed": request.until_killed,
        "device": request.device,
        "backend": request.backend,
    }
    manifest = new_manifest("mutants", command, request.seeds[0], request.effort, options)
    run = begun(manifest, out, request.resume, ("names", "kind", "seeds", "until_killed", "device", "backend"))
    resumable(resume_command(command, run.writer.path))
    with run.writer as writer:
        with Progress(quiet) as progress:
            progress.update("kill matrix", "making the cases")
            report = partial(progress.update, "kill matrix", "cases")
            matrix = kill_matrix(
                chosen, request.effort, request.seeds, request.jobs, request.until_killed, report, recalled(run), place
            )
            matrix.wall += run.seconds_before
            progress.end("kill matrix", f"done, {len(matrix.origins)} cases")
        rows = [row_of(matrix, p) for p in chosen]
        for row in rows:
            writer.write(_record(row, matrix, writer))
        if any(r.entry.kind == "mutant" for r in rows):
            for c in kills_by_clause(rows):
                mistrusted = request.whole and not c["kills"]
                writer.write(ClauseKills(c["clause"], c["level"], c["kills"], tuple(c["unique_kills"]), mistrusted))
        spent = matrix.seconds
        seconds = {"wall": matrix.wall, "layers": spent.layers, "oracle": spent.oracle, "judge": spent.judge}
        writer.write(KillMatrix(request.whole, tuple(request.seeds), len(matrix.origins), seconds))
        check()
        status = CONFORMS if all(r.as_it_should_be for r in rows) else DEVIATES
        writer.write(RunFinished(finished_now(), status, {"wall": matrix.wall}))
    return Done(matrix, rows, writer.path, status)


def place_of(device: str, backend: str) -> Place:
    """The place of these words, tried with a mutant.

    Raises UsageError: the device needs a backend, is not there, or mutants cannot lie in the tensors of this backend.
    """
    if not DEVICE.fullmatch(device):
        raise UsageError(
            f"{device!r} is no single device.",
            "the arrays of mutants lie on one: a kind with an optional number.",
            "give cpu or cuda:0.",
        )
    if not backend and device == "cpu":
        return HERE
    if not backend:
        raise UsageError(
            f"no backend is named for mutants on {device}.",
            "they compute in NumPy; on a device their arrays lie in the tensors of a backend.",
            "add --backend NAME.",
        )
    targets = targets_of([backend], [device])
    entry = targets[0].entry
    if len(targets) > 1 or entry.own or entry.environment is not None:
        raise UsageError(
            f"{backend} is not one registered backend.",
            "mutants lie in the tensors of one that is installed beside this command.",
            "give its name, as bnspec backends shows it.",
        )
    place = Place(targets[0].device, entry)
    with Worker(place.entry(MUTANTS[0].name), place.device) as worker:
        if worker.hello.conventions is None:
            raise UsageError(
                f"{entry.name} does not open on {device} with a mutant in its tensors.",
                f"{worker.hello.reason}.",
                "bnspec backends shows what is ready.",
            )
    return place


def recalled(run: Begun) -> Journal:
    """The waves of an interrupted run, and where those that follow are written."""

    def add(unit: tuple[str | int, ...], found: Found, seconds: Seconds) -> None:
        check()
        run.writer.done(*unit, found=plain(msgspec.to_builtins(found)), seconds=msgspec.to_builtins(seconds))

    units, seconds = {}, Seconds()
    for unit, kept in run.kept(_Kept).items():
        units[unit] = {
            case: {
                name: [matrices.Accusation(a.clause, float(a.ratio), a.message) for a in some]
                for name, some in by.items()
            }
            for case, by in kept.found.items()
        }
        seconds = kept.seconds
    return Journal(units, seconds, add)


class _KeptAccusation(msgspec.Struct):
    clause: str
    ratio: float | Literal["inf", "-inf", "nan"]
    message: str


class _Kept(msgspec.Struct):
    """The data of a unit in the journal."""

    found: dict[str, dict[str, list[_KeptAccusation]]]
    seconds: Seconds


def _record(row: Row, matrix: Matrix, writer: RunWriter) -> Mutant | Variant:
    """A row as a record; the case that kills first and the worst case of an accused variant are saved."""
    said = row.to_json()
    kind = said.pop("kind")
    for name in ("killed_by", "expected", "noted_by"):
        said[name] = tuple(said[name])
    said["first_kill"] = _accusation(row.first, matrix, writer)
    said["worst"] = _accusation(row.worst, matrix, writer)
    return Mutant(**said) if kind == "mutant" else Variant(**said)


def _accusation(found: tuple[str, matrices.Accusation] | None, matrix: Matrix, writer: RunWriter) -> Accusation | None:
    if found is None:
        return None
    case, accusation = found
    ratio = accusation.ratio if math.isfinite(accusation.ratio) else "inf"
    return Accusation(accusation.clause, ratio, accusation.message, writer.save_case(matrix.cases[case]))
