"""Writes test vectors as a folder of JSON and safetensors files, atomically."""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from bnspec import __version__
from bnspec.conformance.vectors.records import SCHEMA, family_document
from bnspec.conformance.vectors.table import FAMILIES
from bnspec.errors import HarnessError, UsageError

#: The safetensors format's names of dtypes.
CODES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "uint8": "U8"}
INDEX, SCHEMA_FILE = "index.json", "vectors.schema.json"


def write_vectors(place: Path, families: Sequence[str] = ()) -> dict[str, Any]:
    """Write the families (default: all) to a new or empty folder; returns the content of ``index.json``.

    On failure, nothing is left behind.

    Raises UsageError: an unknown family; a folder that is not empty or cannot be created. HarnessError: writing failed.
    """
    chosen = _chosen(families)
    _demand_room(place)
    partial = place.parent / f".{place.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        why = f"{partial.parent}: {error.strerror}."
        raise UsageError(f"{place} cannot be made.", why, "choose another --out.") from None
    try:
        index = _fill(partial, chosen)
        partial.rename(place)
    except OSError as error:
        raise HarnessError(f"{place} could not be written.", f"{error.strerror}.", "free some room there.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return index


def _fill(place: Path, families: Sequence[str]) -> dict[str, Any]:
    rows = []
    for family in families:
        document, arrays = family_document(family)
        _write_json(place / f"{family}.json", document)
        (place / document["arrays"]).write_bytes(safetensors(arrays, {"schema": SCHEMA, "family": family}))
        size = sum((place / name).stat().st_size for name in (f"{family}.json", document["arrays"]))
        rows.append({"family": family, "about": document["about"], "file": f"{family}.json", "arrays": document["arrays"],
                     "vectors": len(document["vectors"]), "bytes": size})  # fmt: skip
    index = {"schema": SCHEMA, "bnspec": __version__, "json_schema": SCHEMA_FILE, "families": rows}
    _write_json(place / INDEX, index)
    (place / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    return index


def schema_text() -> str:
    """The JSON Schema of a family's file."""
    return (files("bnspec.conformance.vectors") / "schema.json").read_text("utf-8")


def safetensors(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The arrays in the safetensors format: the header's length (8 bytes, little-endian), the header, the bytes of each array.

    Arrays with wider elements come first, so that each starts at a multiple of its element size.

    Source: https://huggingface.co/docs/safetensors (format, version 1)
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    data, end = [], 0
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        header[name] = {
            "dtype": CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [end, end + len(content)],
        }
        data.append(content)
        end += len(content)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *data])


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _chosen(families: Sequence[str]) -> list[str]:
    for family in families:
        if family not in FAMILIES:
            near = difflib.get_close_matches(family, FAMILIES, 1)
            raise UsageError(
                f"there is no family {family!r} of vectors.",
                "families are " + ", ".join(FAMILIES) + ".",
                f"did you mean {near[0]}?" if near else "name one of them, or leave --family out for all.",
            )
    return [f for f in FAMILIES if not families or f in families]


def _demand_room(place: Path) -> None:
    if place.is_dir():
        if any(place.iterdir()):
            raise UsageError(
                f"{place} is not empty.", "vectors are written whole, never among other files.", "choose another --out."
            )
    elif place.exists() or place.is_symlink():
        raise UsageError(f"{place} is not a folder.", "--out names the folder to write.", "choose another --out.")
