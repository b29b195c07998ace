"""The plan of a run on several machines: a unit for each target and shard, with what it needs, as data.

A unit is a call of the command line, ``bnspec verify --backend=B --device=D --shard=i/n``, that writes an ordinary run directory.
``plan.json`` holds the plan; its folder also takes the units' runs, ``units/0001`` and so on, and ``run``, which is all of them.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from bnspec import __version__
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.clauses import select_asked
from bnspec.conformance.cluster.options import LABEL
from bnspec.conformance.run.verify import VerifyRequest
from bnspec.errors import UsageError
from bnspec.reports.run.fields import BackendName, DeviceName, Ordinal
from bnspec.reports.run.store import MANIFEST, refuse_occupied

SCHEMA = "bnspec-plan/1"
#: In the folder of a plan.
PLAN = "plan.json"
#: The modules that an engine's job calls: for one unit, and for the merge of all.
UNIT, MERGED = "bnspec.conformance.cluster.unit", "bnspec.conformance.cluster.merged"
#: Units and bytes that a plan has at most.
UNITS_AT_MOST, BYTES_AT_MOST = 100_000, 256 << 20
#: Kinds of device that an engine gives to a unit as a GPU.
GPUS = ("cuda", "gpu")
GIB = 2**30
#: Workers that a unit has at a time at most: it has one target, and a second process of it assists, or runs a deviation again.
WORKERS = 2
#: Memory of a unit's own process, and of each process that judges; see decision 0017.
HARNESS_GIB, JUDGE_GIB = 1.0, 0.5


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a unit asks of the machine it runs on.

    Attributes:
        cpus: cores, one for each of the unit's ``--jobs``; gpus: 1 for a target on a GPU.
        memory_bytes: of all its processes; None: it does not say. label: only machines that carry it; None: any.
    """

    cpus: Ordinal
    gpus: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    memory_bytes: Ordinal | None = None
    label: Annotated[str, msgspec.Meta(pattern=rf"^{LABEL.pattern}$(?!\n)")] | None = None


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share of a target's cases. ``arguments``: the words after ``bnspec``, without ``--out`` and ``--resume``."""

    number: Ordinal
    backend: BackendName
    device: DeviceName
    shard: Ordinal
    arguments: tuple[str, ...]
    resources: Resources


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The units of a verify call, those with equal needs side by side.

    ``command``: the call that made it; ``bnspec``: the version.
    """

    command: str
    bnspec: str
    shards: Ordinal
    units: tuple[Unit, ...]
    schema: str = SCHEMA

    def groups(self) -> list[tuple[Unit, ...]]:
        """The units by what they need: an array of jobs has one need for all."""
        found: dict[Resources, list[Unit]] = {}
        for unit in self.units:
            found.setdefault(unit.resources, []).append(unit)
        return [tuple(units) for units in found.values()]


def plan_of(
    request: VerifyRequest, shards: int, command: str, label: str | None = None, memory_gib: float | None = None
) -> Plan:
    """The units of a verify call, numbered from 1.

    Args:
        shards: of each target; command: the call, for the manifest of the merged run; label: that machines must carry; memory_gib: of each worker, None where the call does not say.
    Raises: UsageError: a backend, device or clause that is wrong; a corpus, a shard, a time, or a device by its number, which
        no unit can have; or too many units.
    """
    select_asked(request.clauses)
    if request.corpus is not None:
        raise UsageError(
            "--corpus is for a run on one machine.",
            "units of a run would all write to the corpus at once.",
            "replay it by a call of its own: bnspec verify --corpus DIR.",
        )
    if request.shard is not None or (request.minutes is not None and shards > 1):
        raise UsageError(
            f"{'--shard' if request.shard else '--minutes'} is not for a run in units.",
            "each unit is a shard of its own, and shards have equal cases, however long they take.",
            "leave it out; --shards says how many units a target has.",
        )
    targets = targets_of(request.backends, request.devices, elsewhere=True)
    if len(targets) * shards > UNITS_AT_MOST:
        raise UsageError(
            f"{len(targets) * shards} units are too many.",
            f"{len(targets)} targets in {shards} shards; a plan has at most {UNITS_AT_MOST} units.",
            "give fewer --shards.",
        )
    needs = {t: _resources(t, request.jobs, label, memory_gib) for t in targets}
    targets.sort(key=lambda t: needs[t].gpus)  # stable: units with equal needs are neighbours
    common = _common(request, memory_gib)
    units = [
        Unit(
            number,
            target.entry.name,
            target.device,
            shard,
            ("verify", *_of_target(target), *common, *([f"--shard={shard}/{shards}"] if shards > 1 else ())),
            needs[target],
        )
        for number, (target, shard) in enumerate(((t, s) for t in targets for s in range(1, shards + 1)), 1)
    ]
    return Plan(command, __version__, shards, tuple(units))


def _resources(target: Target, jobs: int, label: str | None, memory_gib: float | None) -> Resources:
    kind, _, number = target.device.partition(":")
    if kind in GPUS and int(number or 0) > 0:
        raise UsageError(
            f"{target.name}: a unit has one GPU, number 0.",
            "the engine decides which GPU of a machine that is.",
            f"give --device {kind}:0.",
        )
    judges = jobs if jobs > 1 else 0
    memory = None if memory_gib is None else int((WORKERS * memory_gib + HARNESS_GIB + judges * JUDGE_GIB) * GIB)
    return Resources(jobs, int(kind in GPUS), memory, label)


def _of_target(target: Target) -> list[str]:
    """The options that select this target alone."""
    entry = target.entry
    name = entry.base if entry.own else glob.escape(entry.base)
    return [f"--backend={name}{entry.name.removeprefix(entry.base)}", f"--device={target.device}"]


def _common(request: VerifyRequest, memory_gib: float | None) -> list[str]:
    """The options that all units share, each one word, so that no value is taken for an option."""
    limits = request.limits.to_json() | {"memory_gib": memory_gib}
    return [
        *(f"--clause={c}" for c in request.clauses),
        f"--effort={request.effort}",
        *([] if request.minutes is None else [f"--minutes={request.minutes!r}"]),
        f"--seed={request.seed}",
        f"--jobs={request.jobs}",
        *(f"--may-be-absent={a}" for a in request.absent),
        *([] if request.compilation_cache else ["--no-compilation-cache"]),
        *(f"--{n.replace('_', '-')}={v!r}" for n, v in limits.items() if v is not None),
    ]


def encode_plan(plan: Plan) -> bytes:
    """The plan as the text of ``plan.json``."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n"


def read_plan(folder: Path) -> Plan:
    """The plan in a folder. Raises UsageError: there is none, or it is none of ours."""
    from bnspec.reports.run.files import content

    text = content(folder, PLAN, BYTES_AT_MOST)
    try:
        plan = msgspec.json.decode(text, type=Plan)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{folder / PLAN} is no plan.", f"{error}.", "make it anew with bnspec plan.") from None
    if plan.schema != SCHEMA or [u.number for u in plan.units] != list(range(1, len(plan.units) + 1)):
        raise UsageError(f"{folder / PLAN} is no plan of this version.", f"it is {plan.schema}.", "make it anew.")
    return plan


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan into a folder, which is made.

    Raises UsageError: another plan is there, or a run, or anything else; or it cannot be written.
    """
    text = encode_plan(plan)
    file = folder / PLAN
    try:
        if not file.exists() or (folder / MANIFEST).exists():
            refuse_occupied(folder, "plan")
        folder.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.read_bytes() != text:
            raise UsageError(f"{file} is another plan.", "its units are not those of this call.", "give another --out.")
        file.write_bytes(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be written.", f"{error}.", "name a folder that you may write to.") from None


def described(units: Sequence[Unit]) -> str:
    """What units need, for a person: "2 cores, 1 GPU, 9 GiB"."""
    need = units[0].resources
    said = [f"{need.cpus} core{'s' * (need.cpus > 1)}"] + (["1 GPU"] if need.gpus else [])
    said += [f"{need.memory_bytes / GIB:.3g} GiB"] if need.memory_bytes else []
    return ", ".join(said + ([f"label {need.label}"] if need.label else []))
