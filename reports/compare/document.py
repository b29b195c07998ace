"""A comparison as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bnspec.reports.compare.comparison import Comparison, TargetComparison
from bnspec.reports.compare.policy import Policy, idle, regressions
from bnspec.reports.run.codec import plain, to_json


def comparison_document(comparison: Comparison, policies: Sequence[Policy]) -> dict[str, Any]:
    """The runs, the targets with their changes, what each sum rests on, and what failed."""
    failed = [{"target": p.pair.title, **_json(c)} for p, c in regressions(comparison, policies)]
    return {
        "runs": [to_json(run.manifest) for run in comparison.runs],
        "targets": [_target(p) for p in comparison.pairs],
        "only_before": list(comparison.only_before),
        "only_after": list(comparison.only_after),
        "notes": list(comparison.notes),
        "policies": [str(p) for p in policies],
        "policies_without_data": [str(p) for p in idle(comparison, policies)],
        "regressions": failed,
    }


def _target(p: TargetComparison) -> dict[str, Any]:
    (run, before), (other, after) = p.pair
    return {
        "before": {"run": run.manifest.id, "target": before.name},
        "after": {"run": other.manifest.id, "target": after.name},
        "sentence": p.sentence,
        "changes": [_json(c) for c in p.changes],
        "coverage": [_json(c) for c in p.coverage],
        "excluded": [_json(e) for e in p.excluded],
    }


def _json(value: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = plain(msgspec.to_builtins(value))
    return found
