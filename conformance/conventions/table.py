"""Inferred conventions and a translation as tables on a terminal."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rich.console import Console

from bnspec.conformance.conventions.inferred import InferredConventions, ProvenTranslation
from bnspec.conformance.conventions.outcome import Outcome
from bnspec.conformance.conventions.proof import Proof
from bnspec.reports.run.records import ratio_text
from bnspec.terminal.console import indented, show, table, verbatim
from bnspec.translation.parts import Part, Route

OFFERS = (
    "A form that is not declared as offered is declined before the adapter is called: the experiments can refute an offer, but not "
    "find one."
)
EVIDENCE = "evidence (numbers: error / bound)"


def print_conventions(inferred: InferredConventions, console: Console) -> None:
    """Print the table of conventions, those that are not observable, and the differences."""
    inference = inferred.inference
    versions = ", ".join(f"{n} {v}" for n, v in inferred.versions.items())
    verbatim(console, f"{inferred.name}   {versions}\n")
    listed = table(console, "field", "inferred", "declared", "", EVIDENCE)
    for column in listed.columns[1:3]:
        column.max_width = 18
    for outcome in inference.outcomes:
        if outcome.observable:
            declared = inference.declaration(outcome.field)
            row = (outcome.field, _found(outcome), _value_text(declared), outcome.agreement(declared))
            listed.add_row(*row, "; ".join(t for t in (outcome.evidence, outcome.reason) if t))
    show(console, listed)
    verbatim(console, "")
    indented(console, OFFERS)
    verbatim(console, "\nDeclared, but not observable through the adapter")
    for outcome in inference.outcomes:
        if not outcome.observable:
            indented(
                console, f"  {outcome.field} = {_value_text(inference.declaration(outcome.field))}: {outcome.reason}"
            )
    count = len(inference.differences)
    verbatim(console, f"\n{count or 'no'} difference{'s' * (count != 1)} between inferred and declared conventions")
    for outcome in inference.differences:
        declared = _value_text(inference.declaration(outcome.field))
        indented(console, f"  {outcome.field}: declared {declared}, inferred {_found(outcome)}: {outcome.evidence}")


def print_translation(source: InferredConventions, translated: ProvenTranslation, console: Console) -> None:
    """Both routes with their formulas, and the proofs."""
    general, fixed = translated.general, translated.fixed
    heading = f"from {source.name} to {translated.to.name}"
    _route(console, f"\n{heading}, for inference", general.inference)
    _route(console, f"\n{heading}, for further training", general.training)
    if general.training.layer is None and fixed.training.layer is not None:
        words = f"\n{heading}, for further training with {translated.count} values per channel in every step"
        _route(console, words, fixed.training, {(p.name, p.how) for p in general.training.parts})
    for word, proofs in (("inference", translated.proven.inference), ("training", translated.proven.training)):
        verbatim(console, f"\n{word}, both run on the same data: |source - target| / (bound + bound)")
        listed = table(console, "ratio", "layer", "elements", "")
        for proof in proofs:
            listed.add_row(*_proof_row(proof))
        show(console, listed)


def _route(console: Console, heading: str, route: Route, printed: Collection[tuple[str, str]] = ()) -> None:
    """Print the parts that are not printed already, and what must hold."""
    ends = {True: "exact", False: "not exact"}[route.is_exact] if route.layer is not None else "there is none"
    verbatim(console, f"{heading}: {ends}")
    parts = table(console, "part", "how", "formula")
    for part in (p for p in route.parts if (p.name, p.how) not in printed):
        parts.add_row(part.name, part.how, _formula(part))
    if parts.row_count:
        show(console, parts)
    for need in route.needs:
        indented(console, f"as long as {need}")


def _formula(part: Part) -> str:
    return "; ".join(text for text in (part.formula, part.reason) if text)


def _proof_row(proof: Proof) -> tuple[str, str, str, str]:
    """Ratio, layer, elements, and how it ended."""
    if proof.reason:
        return "failed" if proof.failed else "-", proof.layer, "", proof.reason
    kind = "exact" if proof.exact else "rounded"
    verdict = "" if proof.holds else f", beyond its bound in {proof.worst}"
    own = f"; the {' and the '.join(proof.deviating)} beyond its own" if proof.deviating else ""
    return ratio_text(proof.ratio), proof.layer, _compared(proof), kind + verdict + own


def _compared(proof: Proof) -> str:
    return str(proof.elements) if proof.elements == proof.total else f"{proof.elements} of {proof.total}"


def _found(outcome: Outcome) -> str:
    if not outcome.possible:
        return "none of the known"
    if outcome.interval is not None and len(outcome.possible) > 1:
        return "any"
    return " or ".join(_value_text(p) for p in outcome.possible)


def _value_text(value: Any) -> str:
    """A value as a reader would write it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
