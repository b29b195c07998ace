"""The runs that are merged: read, and refused where they are not the parts of one run."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bnspec
from bnspec.conformance.run.shard import Shard
from bnspec.errors import UsageError
from bnspec.reports.run.journal import JudgedCase, read_journal
from bnspec.reports.run.records import TargetRecord, target_name
from bnspec.reports.run.resume import resume_command
from bnspec.reports.run.store import Run, read_run

#: Options in which the runs must agree, besides their limits of time: of memory each machine has its own.
SAME = ("targets", "clauses", "corpus_digest", "minutes")
_AGAIN = "judge that part again, in a new directory, and merge it in place of this one."


@dataclass(frozen=True)
class Part:
    """A run that is merged.

    Attributes:
        seeds: of its cases; several, where it is merged itself; shard: the part of the cases; 1/1: all.
        judged: by target (backend, device), the judged cases by their number.
    """

    run: Run
    seeds: tuple[int, ...]
    shard: Shard
    judged: Mapping[tuple[str, str], Mapping[int, JudgedCase]]

    @property
    def place(self) -> str:
        """How the part is named in messages."""
        return str(self.run.path)

    def total(self, target: tuple[str, str]) -> int:
        """The cases of a target, those that were never run among them."""
        return sum(sum(t.cases.values()) for t in self.run.targets_finished if (t.backend, t.device) == target)

    def never_run(self, target: tuple[str, str]) -> int:
        """Cases of a target that were never run: its process had ended too often."""
        finished = (t for t in self.run.targets_finished if (t.backend, t.device) == target)
        return sum(t.cases.get("not_run", 0) for t in finished)


def read_parts(paths: Sequence[Path]) -> list[list[Part]]:
    """The runs in groups of equal seeds, the least seed first; in a group the shards in their order.

    Raises UsageError: one is no finished run of verify, they are of different calls, or a shard is missing or there twice.
    """
    if len(paths) < 2:
        raise UsageError(
            "one run needs no merging.", "a merge makes one run of several.", "name all the shards of a run."
        )
    parts = [_part(path) for path in paths]
    for part in parts[1:]:
        _refuse_other_calls(parts[0], part)
    groups: dict[tuple[int, ...], list[Part]] = collections.defaultdict(list)
    for part in parts:
        groups[part.seeds].append(part)
    of: dict[int, Part] = {}
    for seeds, group in groups.items():
        for seed in seeds:
            if (other := of.setdefault(seed, group[0])) is not group[0]:
                raise _double(other, group[0], f"the cases of seed {seed}")
        _refuse_gaps(group)
    return [sorted(groups[seeds], key=lambda p: p.shard) for seeds in sorted(groups)]


def _part(path: Path) -> Part:
    """A run as a part. Raises UsageError: it is none, or is not finished."""
    run = read_run(path)
    manifest = run.manifest
    if not manifest.id.startswith("verify-"):
        raise UsageError(
            f"{path} is no run of verify.", f"its id is {manifest.id}.", "only runs of bnspec verify are merged."
        )
    if not run.complete or run.damaged:
        why = "lines of its records are damaged" if run.complete else "its last line does not say that it finished"
        raise UsageError(
            f"{path} is not finished.", f"{why}.", f"go on with it: {resume_command(manifest.command, path)}"
        )
    if manifest.bnspec != bnspec.__version__:
        raise UsageError(
            f"{path} was written by bnspec {manifest.bnspec}.",
            f"this is bnspec {bnspec.__version__}, whose clauses may differ.",
            f"merge with bnspec {manifest.bnspec}.",
        )
    if manifest.options.get("minutes") is not None and manifest.effort != "thorough":
        raise UsageError(
            f"{path} had a limit of time.",
            "which of its cases were run depended on the machine: it is no part of another run.",
            "judge without --minutes, and merge that.",
        )
    judged: dict[tuple[str, str], dict[int, JudgedCase]] = collections.defaultdict(dict)
    for entry in read_journal(path):
        if isinstance(entry, JudgedCase):
            judged[entry.backend, entry.device][entry.order] = entry
    part = Part(run, _seeds(run), Shard.read(str(manifest.options.get("shard") or "1/1")), judged)
    for target in run.targets:
        lost = part.total(here := (target.backend, target.device)) - part.never_run(here) - len(judged[here])
        if target.status == "ready" and lost:
            why = f"its journal lacks {lost} of the cases of {target_name(target)} that its records count"
            raise UsageError(f"{path} cannot be merged.", f"{why}.", _AGAIN)
    return part


def _seeds(run: Run) -> tuple[int, ...]:
    """The seeds of a run's cases."""
    said = run.manifest.options.get("seeds") or [run.manifest.seed]
    return tuple(sorted(int(seed) for seed in said if seed is not None))


def _call(part: Part) -> dict[str, Any]:
    """In what the parts of a run agree."""
    manifest = part.run.manifest
    limits = manifest.options.get("limits")
    limits = {k: v for k, v in limits.items() if k != "memory_gib"} if isinstance(limits, dict) else limits
    options = {name: manifest.options.get(name) for name in SAME}
    return {"effort": manifest.effort, **options, "limits": limits, "packages": manifest.packages}


def _refuse_other_calls(first: Part, part: Part) -> None:
    """Raise UsageError where two runs are of different calls, or saw other releases of a target."""
    a, b = _call(first), _call(part)
    if differ := [name for name in a if a[name] != b[name]]:
        raise UsageError(
            f"{first.place} and {part.place} are of different calls.",
            f"these differ: {', '.join(differ)}.",
            "merge the shards of one call, or runs that differ in their --seed alone.",
        )
    known = {target_name(t): t for t in first.run.targets}
    for target in part.run.targets:
        if problem := _unlike(known[target_name(target)], target):
            raise UsageError(
                f"{first.place} and {part.place} saw different targets.",
                f"{target_name(target)} {problem}.",
                "judge the part again where the target is as in the other, in a new directory.",
            )


def _unlike(a: TargetRecord, b: TargetRecord) -> str:
    """In what two accounts of a target differ; empty where in nothing that counts."""
    if a.status != b.status:
        return f"is {a.status} in the one and {b.status} in the other"
    differ = [n for n in ("framework", "versions", "conventions") if getattr(a, n) != getattr(b, n)]
    return f"has other {' and '.join(differ)} in the other" if differ and a.status == "ready" else ""


def _refuse_gaps(group: Sequence[Part]) -> None:
    """Raise UsageError where the parts of equal seeds are not all the shards of one run, each once."""
    first, of = group[0], group[0].shard.of
    by_shard: dict[Shard, Part] = {}
    for part in group:
        if part.shard.of != of:
            raise UsageError(
                f"{first.place} and {part.place} are shards of different runs.",
                f"they are {first.shard} and {part.shard}.",
                "merge all shards i/n of one n.",
            )
        if (other := by_shard.setdefault(part.shard, part)) is not part:
            raise _double(other, part, f"shard {part.shard}" if of > 1 else "all cases of one seed")
    missing = [str(s) for i in range(1, of + 1) if (s := Shard(i, of)) not in by_shard]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} of the shards {'are' if len(missing) > 1 else 'is'} missing.",
            f"{first.place} is shard {first.shard}.",
            "judge what is missing with --shard, and name its directory too.",
        )


def _double(a: Part, b: Part, what: str) -> UsageError:
    return UsageError(
        f"{a.place} and {b.place} both hold {what}.", "each case is counted once.", "leave one of them out."
    )
