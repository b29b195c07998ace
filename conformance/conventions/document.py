"""Inferred conventions and a translation as one JSON document."""

from __future__ import annotations

from typing import Any

from bnspec.conformance.conventions.inferred import InferredConventions, ProvenTranslation
from bnspec.conformance.conventions.proof import Proof


def conventions_document(inferred: InferredConventions) -> dict[str, Any]:
    """The conventions as JSON-ready data."""
    inference = inferred.inference
    outcomes = inference.outcomes
    undecided = [o for o in outcomes if o.agreement(inference.declaration(o.field)) == "undecided"]
    return {
        "backend": inferred.backend,
        "device": inferred.device,
        "versions": dict(inferred.versions),
        "inferred": {o.field: _json(o.value) for o in outcomes if o.is_inferred},
        "declared": {o.field: _json(inference.declaration(o.field)) for o in outcomes},
        "evidence": {o.field: o.evidence for o in outcomes if o.evidence},
        "differences": [
            {
                "field": o.field,
                "inferred": _json(o.value),
                "possible": [_json(p) for p in o.possible],
                "declared": _json(inference.declaration(o.field)),
                "evidence": o.evidence,
            }
            for o in inference.differences
        ],
        "undecided": {o.field: {"possible": [_json(p) for p in o.possible], "reason": o.reason} for o in undecided},
        "not_observable": {o.field: o.reason for o in outcomes if not o.observable},
    }


def translation_document(translated: ProvenTranslation) -> dict[str, Any]:
    """The translation as JSON-ready data."""
    general, fixed, proven = translated.general, translated.fixed, translated.proven
    training = {**general.training.to_json(), "count": None}
    if general.training.layer is None and fixed.training.layer is not None:
        training = {**fixed.training.to_json(), "count": translated.count}
    return {
        "to": translated.to.backend,
        "device": translated.to.device,
        "versions": dict(translated.to.versions),
        "inference": {**general.inference.to_json(), "proof": _proof_document(proven.inference)},
        "training": {**training, "proof": _proof_document(proven.training)},
    }


def _proof_document(proofs: tuple[Proof, ...]) -> dict[str, Any]:
    made = [p for p in proofs if not p.reason]
    worst = max((p.ratio for p in made), default=None)
    return {
        "ratio": "inf" if worst == float("inf") else worst,
        "elements": sum(p.elements for p in made),
        "layers": [p.to_json() for p in proofs],
    }


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return "inf" if value == float("inf") else value
