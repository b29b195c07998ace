"""An inferred conventions and a translation: on a terminal, and as one document."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from bnspec.conformance.conventions.outcome import Outcome
from bnspec.conformance.conventions.plan import Inference
from bnspec.conformance.conventions.proof import Proof, Proven
from bnspec.reports.run.records import ratio_text
from bnspec.translation.parts import Part, Route, Translation

OFFERS = (
    "What is not declared as offered is declined before the adapter is asked: an offer can be refuted here, not found."
)
EVIDENCE = "evidence (numbers: error / bound)"


@dataclasses.dataclass(frozen=True)
class Profiled:
    """What is known of one backend.

    Attributes:
        backend, device, versions, framework: which one.
        inference: what the experiments found.
        name: backend@device.
    """

    backend: str
    device: str
    versions: Mapping[str, str]
    inference: Inference
    framework: str = ""

    @property
    def name(self) -> str:
        return f"{self.backend}@{self.device}"


@dataclasses.dataclass(frozen=True)
class Translated:
    """A translation to another backend.

    Attributes:
        to: the other one.
        general: for the ordinary layer, whatever the batches; fixed: for batches of ``count`` values per channel.
        count: elements per channel in ``fixed`` and in the proofs.
        proven: the proofs.
        holds: whether every proof does.
    """

    to: Profiled
    general: Translation
    fixed: Translation
    count: int
    proven: Proven

    @property
    def holds(self) -> bool:
        return all(p.holds for p in (*self.proven.inference, *self.proven.training))


# --- for machines -----------------------------------------------------------------------------------------------------


def profile_document(profiled: Profiled) -> dict[str, Any]:
    """The conventions as JSON-ready data."""
    inference = profiled.inference
    outcomes = inference.outcomes
    undecided = [o for o in outcomes if o.agreement(inference.declaration(o.field)) == "undecided"]
    return {
        "backend": profiled.backend,
        "device": profiled.device,
        "versions": dict(profiled.versions),
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


def translation_document(translated: Translated) -> dict[str, Any]:
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


# --- for people -------------------------------------------------------------------------------------------------------


def print_profile(profiled: Profiled, console: Console) -> None:
    """The table of conventions, a line for each that differs, and what cannot be seen."""
    inference = profiled.inference
    versions = ", ".join(f"{n} {v}" for n, v in profiled.versions.items())
    _line(console, f"{profiled.name}   {versions}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, most in (("field", None), ("inferred", 18), ("declared", 18), ("", None), (EVIDENCE, None)):
        table.add_column(column, no_wrap=column in ("field", ""), overflow="fold", max_width=most)
    for outcome in inference.outcomes:
        if outcome.observable:
            declared = inference.declaration(outcome.field)
            row = (outcome.field, _found(outcome), _said(declared), outcome.agreement(declared))
            table.add_row(*row, "; ".join(t for t in (outcome.evidence, outcome.reason) if t))
    console.print(table)
    _line(console, "")
    _wrapped(console, OFFERS)
    _line(console, "\ndeclared, cannot be observed through the adapter")
    for outcome in inference.outcomes:
        if not outcome.observable:
            _wrapped(console, f"  {outcome.field} = {_said(inference.declaration(outcome.field))}: {outcome.reason}")
    count = len(inference.differences)
    _line(console, f"\n{count or 'no'} difference{'s' * (count != 1)} between what was inferred and what is declared")
    for outcome in inference.differences:
        declared = _said(inference.declaration(outcome.field))
        _wrapped(console, f"  {outcome.field}: declared {declared}, inferred {_found(outcome)}: {outcome.evidence}")


def print_translation(source: Profiled, translated: Translated, console: Console) -> None:
    """Both routes with their formulas, and the proofs."""
    general, fixed = translated.general, translated.fixed
    heading = f"from {source.name} to {translated.to.name}"
    _route(console, f"\n{heading}, for inference", general.inference)
    _route(console, f"\n{heading}, to go on training", general.training)
    if general.training.layer is None and fixed.training.layer is not None:
        words = f"\n{heading}, to go on training with {translated.count} values per channel in every step"
        _route(console, words, fixed.training, {(p.name, p.how) for p in general.training.parts})
    for word, proofs in (("inference", translated.proven.inference), ("training", translated.proven.training)):
        _line(console, f"\n{word}, both run on the same data: |source - target| / (bound + bound)")
        for proof in proofs:
            for text in _proof_lines(proof):
                _wrapped(console, f"  {text}")


def _route(console: Console, heading: str, route: Route, told: Collection[tuple[str, str]] = ()) -> None:
    """The parts that were not told already, and what must hold."""
    ends = {True: "exact", False: "not exact"}[route.is_exact] if route.layer is not None else "there is none"
    _line(console, f"{heading}: {ends}")
    for part in (p for p in route.parts if (p.name, p.how) not in told):
        _wrapped(console, f"  {part.name:<22} {part.how:<11} {_formula(part)}")
    for need in route.needs:
        _wrapped(console, f"  as long as             {need}")


def _formula(part: Part) -> str:
    return "; ".join(text for text in (part.formula, part.reason) if text)


def _proof_lines(proof: Proof) -> Iterator[str]:
    if proof.reason:
        yield f"{'failed' if proof.failed else '-':<8} {proof.layer}: {proof.reason}"
    else:
        kind = "exact" if proof.exact else "rounded"
        verdict = "" if proof.holds else f", beyond its bound in {proof.worst}"
        yield f"{ratio_text(proof.ratio):<8} {proof.layer}: {_compared(proof)} elements, {kind}{verdict}"


def _compared(proof: Proof) -> str:
    return str(proof.elements) if proof.elements == proof.total else f"{proof.elements} of {proof.total}"


def _found(outcome: Outcome) -> str:
    if not outcome.possible:
        return "none of the known"
    if outcome.interval is not None and len(outcome.possible) > 1:
        return "any"
    return " or ".join(_said(p) for p in outcome.possible)


def _said(value: Any) -> str:
    """A value as a reader would write it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _wrapped(console: Console, text: str) -> None:
    """A line that goes on further in, where it is long."""
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    for line in textwrap.wrap(text, console.width, subsequent_indent=indent, break_on_hyphens=False):
        _line(console, line)
