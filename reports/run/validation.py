"""Holds records to ``schema.json``, and says in one line where one breaks it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

_LONGEST = 160


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the manifest and of every record kind."""
    loaded: dict[str, Any] = json.loads((files("bnspec.reports.run") / "schema.json").read_text("utf-8"))
    return loaded


@functools.cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema()["$defs"]})


def problem(data: Any, kind: str = "") -> str:
    """What is wrong with a manifest (``kind`` "manifest") or a record (its own kind), or nothing."""
    if not isinstance(data, Mapping):
        return f"it is not an object but {type(data).__name__}"
    kind = kind or str(data.get("kind"))
    if kind not in _kinds():
        return f"kind is {kind!r}, known are {', '.join(sorted(_kinds()))}"
    error = best_match(_validator(kind).iter_errors(data))
    if error is not None:
        where = ".".join(str(p) for p in error.absolute_path)
        message = str(error.message)
        message = message if len(message) <= _LONGEST else message[:_LONGEST] + "..."
        rule = _rule(kind, list(error.absolute_schema_path))
        return (f"{kind}.{where}: " if where else f"{kind}: ") + message + (f" ({rule})" if rule else "")
    if kind == "finding" and data["failures"] > data["cases"]:
        return f"finding.failures: {data['failures']} of {data['cases']} judged cases cannot deviate"
    return ""


@functools.cache
def _kinds() -> frozenset[str]:
    return frozenset(k for k, v in schema()["$defs"].items() if v.get("type") == "object" and "title" in v)


def _rule(kind: str, path: Sequence[Any]) -> str:
    """The sentence of the rule that ties fields together, when the error comes from one."""
    if "allOf" not in path:
        return ""
    rule = schema()["$defs"][kind]["allOf"][path[path.index("allOf") + 1]]
    return str(rule["description"])
