"""The JSON Schema of the run directory, generated from the records. ``make schema`` writes it to schema.json for others.

What a schema cannot say, rules between fields, stands in the descriptions; reading and writing check it all the same.
"""

from __future__ import annotations

import json
import sys
from typing import Any, get_args

import msgspec

from bnspec.reports.run.records import SCHEMA, Manifest, Record

#: The last field of a line, where it has one: see ``bnspec.reports.run.lines``.
CHECKSUM = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}$",
    "description": "CRC-32 of the line's bytes without this field, which is the last one.",
}


def schema() -> dict[str, Any]:
    """The schema: of a manifest, or of one line of records."""
    references, components = msgspec.json.schema_components(
        (Manifest, *get_args(Record)), ref_template="#/$defs/{name}"
    )
    for kind in get_args(Record):
        components[kind.__name__]["properties"]["crc"] = CHECKSUM
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "The manifest and the records of a bnspec run directory",
        "description": "manifest.json holds one Manifest; every line of records.jsonl holds one of the others.",
        "oneOf": list(references),
        "$defs": components,
    }


def text() -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
