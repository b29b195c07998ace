"""A run begun or gone on with: the same arguments, one writer, and what an interrupted run had already."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from bnspec.errors import UsageError
from bnspec.reports.run.journal import AnyEntry, UnitDone, read_journal, seconds_before
from bnspec.reports.run.reading import read_manifest
from bnspec.reports.run.records import Manifest
from bnspec.reports.run.store import Run, RunWriter

_T = TypeVar("_T")


@dataclass(frozen=True)
class Begun:
    """A run directory to write, with what it holds: ``run`` None and no ``entries`` where it is new."""

    writer: RunWriter
    run: Run | None = None
    entries: Sequence[AnyEntry] = ()

    @cached_property
    def units(self) -> dict[tuple[str | int, ...], UnitDone]:
        """The units of work that are done, in their order."""
        return {e.unit: e for e in self.entries if isinstance(e, UnitDone)}

    def kept(self, kind: type[_T]) -> dict[tuple[str | int, ...], _T]:
        """The data of the units that are done, as ``kind``. One whose data do not fit is left out: it is done again."""
        found = {}
        for unit, entry in self.units.items():
            try:
                found[unit] = msgspec.convert(entry.data, kind)
            except (msgspec.ValidationError, OverflowError):
                continue
        return found

    @property
    def seconds_before(self) -> float:
        """How long earlier sessions have worked."""
        return seconds_before(self.entries)


def begun(manifest: Manifest, out: Path | None, resume: Path | None, same: Sequence[str]) -> Begun:
    """Begin a run in ``out``, or go on with that in ``resume``.

    Args:
        manifest: of the run as it is asked for now; same: the options that an interrupted run must share with it.
    Raises: UsageError: both are given; the folder holds something, is no run, is finished, or was begun with other arguments.
    """
    refuse_both(out, resume)
    if resume is None:
        return Begun(RunWriter.create(out, manifest))
    old = read_manifest(resume)
    wanted, had = ([m.seed, m.effort, *(m.options.get(n) for n in same)] for m in (manifest, old))
    if manifest.id.partition("-")[0] != old.id.partition("-")[0] or wanted != had:
        names = ["seed", "effort", *same]
        differ = ", ".join(n for n, a, b in zip(names, wanted, had) if a != b) or "command"
        raise UsageError(
            f"{resume} was started with other arguments.",
            f"these differ: {differ}.",
            "resume with the arguments it was started with: " + old.command,
        )
    writer = RunWriter.resume(resume)
    return Begun(writer, writer.resumed, read_journal(resume))


def refuse_both(out: Path | None, resume: Path | None) -> None:
    """Raise UsageError where a call names a folder for a new run and an interrupted run: one of them would be ignored."""
    if resume is not None and out is not None:
        raise UsageError(
            "--resume and --out are both given.",
            "an interrupted run goes on in its own folder.",
            "leave out --out; or leave out --resume for a new run.",
        )


def resume_command(command: str, path: Path) -> str:
    """The call that goes on with a run: that which began it, with ``--resume`` in place of ``--out``."""
    words, left = shlex.split(command), []
    while words:
        word = words.pop(0)
        if word in ("--out", "--resume"):
            words = words[1:]
        elif not word.startswith(("--out=", "--resume=")):
            left.append(word)
    return shlex.join([*left, "--resume", str(path)])
