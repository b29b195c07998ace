"""``bnspec merge``: the shards of a run, or runs of several seeds, as one run directory.

Everything that is counted is counted again from the journals, by the same rules as in a run: the result is that of the run
of all cases. No backend is opened.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bnspec.clauses import CLAUSES
from bnspec.conformance.causes.united import united
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.collector import COMPLETES, tally_all
from bnspec.conformance.judge.finding import finding_of
from bnspec.conformance.judge.tally import Tally
from bnspec.conformance.run.entries import judgements_of
from bnspec.conformance.run.parts import Part, read_parts
from bnspec.conformance.run.verify import exit_status, failed_to_open
from bnspec.model.case import Case
from bnspec.reports.run.bits import Bits
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.files import case_text
from bnspec.reports.run.journal import JudgedCase
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import Finding, Manifest, RunFinished, TargetFinished, TargetRecord
from bnspec.reports.run.store import CASES, Run, RunWriter, read_run
from bnspec.reports.run.vocabulary import FAILING


@dataclass(frozen=True)
class Counted:
    """A judged case of a part; ``order``: its number in the merged run."""

    entry: JudgedCase
    part: Part
    order: int


@dataclass(frozen=True)
class Shown:
    """A judgement of a counted case, as a tally chooses from them."""

    counted: Counted
    judgement: Judgement

    @property
    def order(self) -> int:
        """The case's number in the merged run."""
        return self.counted.order

    @property
    def size(self) -> int:
        """Elements of all its arrays."""
        return self.counted.entry.elements

    @property
    def part(self) -> Part:
        """The part that the case was judged in."""
        return self.counted.part

    @property
    def case(self) -> str:
        """The path of the case, where it is saved."""
        return f"{CASES}/{self.counted.entry.case}.json"


def merge_runs(paths: Sequence[Path], out: Path | None, command: str) -> tuple[Run, int]:
    """Merge run directories into ``out``; returns the run as read back, and the exit status of verify.

    Raises UsageError: they are not the parts of one run, one is not finished, or ``out`` holds something.
    """
    groups = read_parts(paths)
    parts = [part for group in groups for part in group]
    with RunWriter.create(out, _manifest(parts, command)) as writer:
        first = parts[0].run
        findings: list[Finding] = []
        for target in first.targets:
            findings += _Target(target, groups, writer).merged()
        absent = [str(glob) for glob in first.manifest.options.get("may_be_absent") or ()]
        status = exit_status(findings, failed_to_open(first.targets, absent))
        writer.write(
            RunFinished(finished_now(), status, summed(p.run.finished.seconds for p in parts if p.run.finished))
        )
    return read_run(writer.path), status


def _manifest(parts: Sequence[Part], command: str) -> Manifest:
    """The manifest of the merged run: what the parts share, and which they were."""
    seeds = sorted({seed for part in parts for seed in part.seeds})
    of = [
        {"id": p.run.manifest.id, "seeds": list(p.seeds), "shard": str(p.shard), "machine": p.run.manifest.machine}
        for p in parts
    ]
    seed = seeds[0] if seeds else None
    return joined_manifest([p.run for p in parts], command, seed, seeds=seeds, merged=of)


def joined_manifest(runs: Sequence[Run], command: str, seed: int | None, **options: object) -> Manifest:
    """The manifest of several runs as one: that of the first, with these options, and begun when the earliest was."""
    first = runs[0].manifest
    new = new_manifest("verify", command, seed, first.effort, {**first.options, "shard": None, **options})
    started = min(run.manifest.started for run in runs)
    return msgspec.structs.replace(new, started=started, machine=first.machine, packages=first.packages)


def summed(seconds: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Each name with the sum over the parts."""
    found: collections.Counter[str] = collections.Counter()
    for some in seconds:
        found.update(some)
    return dict(found)


@dataclass
class _Target:
    """One target in all parts, and the run that is written."""

    target: TargetRecord
    groups: Sequence[Sequence[Part]]
    writer: RunWriter

    @property
    def place(self) -> tuple[str, str]:
        """Backend and device."""
        return self.target.backend, self.target.device

    @property
    def parts(self) -> list[Part]:
        """All parts."""
        return [part for group in self.groups for part in group]

    def merged(self) -> list[Finding]:
        """Write all that the parts say of the target, as of one run; returns the findings."""
        parts, place = self.parts, self.place
        self.writer.write(self.target)
        if self.target.status != "ready":
            findings = self.of(parts[0], parts[0].run.findings)
            causes: list[Cause] = []
        else:
            counted = list(self.counted())
            for one in counted:
                self.writer.journal(msgspec.structs.replace(one.entry, order=one.order))
            findings, causes = self.found(counted)
        self.writer.write(*findings, *causes)
        cases: collections.Counter[str] = collections.Counter()
        for part in parts:
            for incident in self.of(part, part.run.incidents):
                self.save(part, incident.case)
                self.writer.write(incident)
        if self.target.status == "ready":
            cases.update(one.entry.status for one in counted)
            cases["not_run"] = sum(part.never_run(place) for part in parts)
        bits = {e.case: e.bits for p in parts for e in p.judged.get(place, {}).values() if e.bits is not None}
        if bits:
            self.writer.write(Bits(*place, dict(sorted(bits.items()))))
        done = [t for part in parts for t in self.of(part, part.run.targets_finished)]
        self.writer.write(TargetFinished(*place, dict(+cases), summed(t.seconds for t in done)))
        self.writer.done("target", *place)
        return findings

    def counted(self) -> Iterator[Counted]:
        """The judged cases, each once, in the order of the merged run: seed by seed, each in the order of its run.

        Of a case that several seeds have, the judgements that break more clauses count, of equals the first.
        """
        numbers, chosen, begin = dict[str, int](), dict[int, Counted](), 0
        for group in self.groups:
            new: dict[str, int] = {}
            entries = sorted(
                ((e.order, e, p) for p in group for e in p.judged.get(self.place, {}).values()),
                key=lambda found: found[0],
            )
            for order, entry, part in entries:
                number = numbers.get(entry.case, begin + order)
                known = chosen.get(number)
                if known is None or len(entry.broken) > len(known.entry.broken):
                    chosen[number] = Counted(entry, part, number)
                new[entry.case] = number
            numbers = {**new, **numbers}
            begin = 1 + max([begin - 1, *chosen])
        return (chosen[number] for number in sorted(chosen))

    def found(self, counted: Sequence[Counted]) -> tuple[list[Finding], list[Cause]]:
        """The findings of the counted cases, and their causes."""
        clauses = [c for c in CLAUSES if any(f.clause == c for f in self.of(self.parts[0], self.parts[0].run.findings))]
        tallies: dict[str, Tally[Shown]] = {c: Tally() for c in clauses}
        for one in counted:
            tally_all(tallies, judgements_of(one.entry), lambda judgement, one=one: Shown(one, judgement))  # type: ignore[misc]
        findings, shown = [], dict[str, Part]()
        for clause, tally in tallies.items():
            finding, shown[clause] = self.finding(clause, tally)
            findings.append(finding)
        causes = united(findings, {clause: self.of(part, part.run.causes) for clause, part in shown.items()})
        for cause in causes:
            if cause.case and not (self.writer.path / cause.case).exists():
                self.save(shown[cause.clause], cause.case)
        return findings, causes

    def finding(self, clause: str, tally: Tally[Shown]) -> tuple[Finding, Part]:
        """The finding of a clause, and the part that its evidence is from: the one whose smallest case that deviates is the
        run's, as a run shrinks that case."""
        if tally.verdict not in FAILING or tally.worst is None or tally.smallest is None:
            return finding_of(clause, tally, *self.place), self.parts[0]
        worst, smallest = tally.worst, tally.smallest
        case = self.saved(worst, self.said(worst.part, clause).case)
        if clause == COMPLETES:
            shrunk = self.saved(smallest, self.said(smallest.part, clause).shrunk)
            return finding_of(clause, tally, *self.place, case=case, shrunk=shrunk), worst.part
        said = self.said(smallest.part, clause)
        shown = Judgement(math.inf, said.evidence, said.message)
        shrunk = self.save(smallest.part, said.shrunk) if said.shrunk else None
        return finding_of(clause, tally, *self.place, case=case, shrunk=shrunk, judgement=shown), smallest.part

    def of(self, part: Part, records: Sequence[Any]) -> list[Any]:
        """The records of this target."""
        return [r for r in records if (r.backend, r.device) == self.place]

    def said(self, part: Part, clause: str) -> Finding:
        """The finding of a part."""
        found: Finding = next(f for f in self.of(part, part.run.findings) if f.clause == clause)
        return found

    def saved(self, shown: Shown, otherwise: str | None) -> str | None:
        """The case, saved; where the part did not save it, because it has a worse one, that one."""
        name = shown.case if (shown.part.run.path / shown.case).exists() else otherwise
        return None if name is None else self.save(shown.part, name)

    def save(self, part: Part, name: str) -> str:
        """A case of a part, saved in the merged run; returns its path there."""
        return self.writer.save_case(Case.loads(case_text(part.run.path, name)))
