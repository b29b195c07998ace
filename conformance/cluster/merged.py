"""The units of a plan as one run: ``bnspec merge`` for the shards of each target, then the targets side by side.

python -P -m bnspec.conformance.cluster.merged plans/mine      # writes plans/mine/run; the last job of a plan
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bnspec.conformance.cluster.plan import PLAN, Plan, read_plan
from bnspec.conformance.cluster.unit import folder_of, whole
from bnspec.conformance.run.merging import joined_manifest, merge_runs, summed
from bnspec.conformance.run.verify import exit_status, failed_to_open
from bnspec.errors import BnspecError, UsageError
from bnspec.model.case import Case
from bnspec.printable import clean
from bnspec.reports.run.files import case_text
from bnspec.reports.run.journal import SessionBegun, read_journal
from bnspec.reports.run.manifest import finished_now
from bnspec.reports.run.records import Manifest, RunFinished, target_name
from bnspec.reports.run.store import CASES, Run, RunWriter, read_run


def merge_units(plan: Plan, folder: Path, out: Path, command: str) -> Run:
    """The runs of all units in a plan's folder as one run in ``out``; its manifest says ``command``.

    Raises UsageError: units are missing, are not of one call, or ``out`` holds something.
    """
    paths = [folder_of(folder / PLAN, u.number) for u in plan.units]
    if missing := [p.name for p in paths if not whole(p)]:
        raise UsageError(
            f"{len(missing)} of {len(paths)} units are not finished: {', '.join(missing[:20])}.",
            "they were never run, or were cut short.",
            "run them again; those that are finished are left as they are.",
        )
    targets: dict[tuple[str, str], list[Path]] = {}
    for unit, path in zip(plan.units, paths):
        targets.setdefault((unit.backend, unit.device), []).append(path)
    with tempfile.TemporaryDirectory(prefix=".merged-", dir=folder) as scratch:
        parts = [_merged(shards, Path(scratch) / str(n), command) for n, shards in enumerate(targets.values())]
        return join(parts, out, command)


def _merged(shards: Sequence[Path], out: Path, command: str) -> Run:
    """The shards of a target as one run; one alone is one already. Raises UsageError: they are not the shards of a call."""
    return read_run(shards[0]) if len(shards) == 1 else merge_runs(shards, out, command)[0]


def join(runs: Sequence[Run], out: Path, command: str) -> Run:
    """Finished runs of one call, each of other targets, as one run in ``out``.

    Raises UsageError: they are of different calls, or ``out`` holds something.
    """
    _refuse_other_calls(runs)
    with RunWriter.create(out, _manifest(runs, command)) as writer:
        for run in runs:
            for file in sorted((run.path / CASES).iterdir()):
                writer.save_case(Case.loads(case_text(run.path, f"{CASES}/{file.name}")))
            for entry in read_journal(run.path):
                if not isinstance(entry, SessionBegun):
                    writer.journal(entry)
            writer.write(*(r for r in run.records if not isinstance(r, RunFinished)))
        absent = [str(glob) for glob in runs[0].manifest.options.get("may_be_absent") or ()]
        findings = [f for run in runs for f in run.findings]
        status = exit_status(findings, failed_to_open([t for run in runs for t in run.targets], absent))
        seconds = summed(run.finished.seconds for run in runs if run.finished is not None)
        writer.write(RunFinished(finished_now(), status, seconds))
    return read_run(out)


def _refuse_other_calls(runs: Sequence[Run]) -> None:
    first = runs[0]
    seen: set[str] = set()
    for run in runs:
        names = {target_name(t) for t in run.targets}
        a, b = (
            (m.bnspec, m.seed, m.effort, m.packages, m.options.get("clauses")) for m in (first.manifest, run.manifest)
        )
        if a != b or not run.complete or names & seen:
            what = "is not finished" if not run.complete else "has other arguments, versions or the same targets"
            raise UsageError(
                f"{run.path} cannot stand beside {first.path}.", f"it {what}.", "run its units again, by one version."
            )
        seen |= names


def _manifest(runs: Sequence[Run], command: str) -> Manifest:
    """What the runs share, with the targets of all."""
    targets = [t for run in runs for t in run.manifest.options.get("targets") or ()]
    parts = [p for run in runs for p in run.manifest.options.get("merged") or ()]
    return joined_manifest(runs, command, runs[0].manifest.seed, targets=targets, merged=parts)


def main(words: Sequence[str]) -> int:
    """Merge the units of a plan's folder into its ``run``, and print it as verify does."""
    from bnspec.reports.tables.run import print_run

    folder = Path(words[0])
    try:
        plan = read_plan(folder)
        run = merge_units(plan, folder, folder / "run", plan.command)
    except BnspecError as error:
        sys.stderr.write(clean(f"{folder}: {error}\n"))
        return error.exit_status
    print_run(run)
    assert run.finished is not None
    return run.finished.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
