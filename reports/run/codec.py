"""Records as lines of JSON and back: the one reader and writer. What breaks the schema is neither written nor read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

import msgspec

from bnspec.model.saved_case import DEPTH_AT_MOST, nested_deeper
from bnspec.printable import clean
from bnspec.reports.run.records import Manifest, Record

#: The class of each kind of record.
KINDS: dict[str, type[Record]] = {str(c.__struct_config__.tag): c for c in get_args(Record)}

_records: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
_manifests = msgspec.json.Decoder(Manifest)
_kinds = msgspec.json.Decoder(dict[str, msgspec.Raw])
_R = TypeVar("_R", Manifest, Record)


class BrokenRecord(ValueError):
    """A record or a manifest breaks the schema; the text says where and how."""


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: tuples become lists, NumPy scalars and arrays Python numbers and lists, and the
    numbers that JSON lacks the words "inf", "-inf" and "nan". Texts lose their control characters, see ``bnspec.printable``."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(k)): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    if value is None or type(value) in (bool, int, float):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return clean(str(value))


def to_json(record: Record | Manifest) -> dict[str, Any]:
    """A record as JSON-ready data, its kind first."""
    found: dict[str, Any] = plain(msgspec.to_builtins(record, enc_hook=plain))
    return found


def documents(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Records for a command's ``--json``: what ``to_json`` gives, without the kind."""
    return [{k: v for k, v in to_json(r).items() if k != "kind"} for r in records]


def encode(record: Record) -> bytes:
    """A record as one line, without its newline. Raises BrokenRecord: a reader would refuse it."""
    line = msgspec.json.encode(to_json(record))
    decode(line)
    return line


def decode(line: bytes) -> Record:
    """The inverse of ``encode``. Raises BrokenRecord: it breaks the schema; msgspec.DecodeError: it is not JSON."""
    try:
        return _shallow(_records, line)
    except msgspec.ValidationError as error:
        raise BrokenRecord(_described(error, line)) from None


def encode_manifest(manifest: Manifest) -> bytes:
    """A manifest as the text of its file. Raises BrokenRecord: a reader would refuse it."""
    text = msgspec.json.format(msgspec.json.encode(to_json(manifest)), indent=1) + b"\n"
    decode_manifest(text)
    return text


def decode_manifest(text: bytes) -> Manifest:
    """The inverse of ``encode_manifest``. Raises BrokenRecord, msgspec.DecodeError: as ``decode`` does."""
    try:
        return _shallow(_manifests, text)
    except msgspec.ValidationError as error:
        raise BrokenRecord(f"manifest: {error}") from None


def _shallow(decoder: msgspec.json.Decoder[_R], text: bytes) -> _R:
    """What the text holds; options, conventions and the like may nest, but only so deep."""
    many = text.count(b"[") + text.count(b"{") > DEPTH_AT_MOST
    if many and nested_deeper(text.decode("utf-8", "replace"), DEPTH_AT_MOST):
        raise BrokenRecord(f"more than {DEPTH_AT_MOST} of its brackets are open at once")
    try:
        return decoder.decode(text)
    except (UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise BrokenRecord(str(error)) from None


def _described(error: msgspec.ValidationError, line: bytes) -> str:
    """What is wrong, of which kind of record."""
    try:
        kind = msgspec.json.decode(_kinds.decode(line).get("kind", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"it is not an object: {error}"
    return (
        f"{kind}: {error}"
        if isinstance(kind, str) and kind in KINDS
        else f"kind is {kind!r}, known are {', '.join(KINDS)}"
    )
