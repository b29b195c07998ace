"""Records as JSON-ready data and back, and one run as one document."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bnspec.reports.run.records import (
    Comparison,
    Finding,
    Incident,
    Manifest,
    Record,
    Roof,
    RunFinished,
    TargetFinished,
    TargetRecord,
    Timing,
)

#: Record type of each ``kind``.
KINDS: dict[str, type[Record]] = {
    "target": TargetRecord,
    "finding": Finding,
    "incident": Incident,
    "timing": Timing,
    "roof": Roof,
    "comparison": Comparison,
    "target_finished": TargetFinished,
    "run_finished": RunFinished,
}

#: Fields whose name in JSON is a reserved word of Python.
_RENAMED = {"pass_name": "pass"}
_NAMES = {json_name: name for name, json_name in _RENAMED.items()}


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: tuples become lists, NumPy scalars and arrays Python numbers and lists, and the
    numbers that JSON lacks the words "inf", "-inf" and "nan"."""
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.to_builtins(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    if value is None or type(value) in (bool, int, float, str):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def to_json(record: Record | Manifest) -> dict[str, Any]:
    """A record as JSON-ready data, its kind first."""
    fields = {f.name: plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    named = {_RENAMED.get(name, name): value for name, value in fields.items()}
    return named if isinstance(record, Manifest) else {"kind": record.kind, **named}


def from_json(data: Mapping[str, Any]) -> Record:
    """The inverse of ``to_json`` for a record; the data have passed the schema."""
    fields = {_NAMES.get(name, name): value for name, value in data.items() if name != "kind"}
    for name in ("shape", "samples_ns", "scans", "moved_bytes", "streaming_bytes", "sizes_bytes", "bytes_per_second"):
        if fields.get(name) is not None:
            fields[name] = tuple(fields[name])
    return KINDS[data["kind"]](**fields)


def manifest_from_json(data: Mapping[str, Any]) -> Manifest:
    """The inverse of ``to_json`` for a manifest; the data have passed the schema."""
    return Manifest(**data)


def documents(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Records for a command's ``--json``: what ``to_json`` gives, without the kind."""
    return [{k: v for k, v in to_json(r).items() if k != "kind"} for r in records]
