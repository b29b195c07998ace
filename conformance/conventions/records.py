"""Inferred conventions and translations as records of a run directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bnspec.conformance.conventions.inferred import InferredConventions, ProvenTranslation
from bnspec.conformance.conventions.plan import Inference
from bnspec.conformance.conventions.proof import Proof as Proven
from bnspec.reports.run import conventions as run
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import RunFinished, TargetRecord
from bnspec.reports.run.store import RunWriter
from bnspec.reports.run.vocabulary import Purpose
from bnspec.translation.parts import Route


def write_conventions(
    inferred: InferredConventions,
    translated: ProvenTranslation | None,
    out: Path | None,
    command: str,
    status: int,
    seconds: float,
) -> Path:
    """The run directory of what was inferred and, where it was asked for, of the translation; returns its path."""
    found = [inferred] if translated is None else [inferred, translated.to]
    manifest = new_manifest("conventions", command, None, "", {"targets": [p.name for p in found]})
    with RunWriter.create(out, manifest) as writer:
        for one in found:
            writer.write(_target(one))
            for record in convention_records(one, writer):
                writer.write(record)
        for translation in translations(inferred, translated) if translated is not None else ():
            writer.write(translation)
        writer.write(RunFinished(finished_now(), status, {"wall": seconds}))
    return writer.path


def translations(source: InferredConventions, translated: ProvenTranslation) -> Iterator[run.Translation]:
    """The translation for inference, for training and, where only that exists, for training on batches of one size."""
    general, fixed, proven = translated.general, translated.fixed, translated.proven
    yield _translation(source, translated.to, "inference", None, general.inference, proven.inference)
    if general.training.layer is None and fixed.training.layer is not None:
        yield _translation(source, translated.to, "training", None, general.training, ())
        yield _translation(source, translated.to, "training", translated.count, fixed.training, proven.training)
    else:
        yield _translation(source, translated.to, "training", None, general.training, proven.training)


def _target(inferred: InferredConventions) -> TargetRecord:
    versions = {str(k): str(v) for k, v in inferred.versions.items()}
    declared = inferred.inference.declared.to_json()
    return TargetRecord(inferred.backend, inferred.device, "ready", "", inferred.framework, versions, declared)


def convention_records(inferred: InferredConventions, writer: RunWriter) -> Iterator[run.Convention]:
    """A record for each field; the cases of its experiment are saved."""
    inference: Inference = inferred.inference
    for outcome in inference.outcomes:
        declared = inference.declaration(outcome.field)
        yield run.Convention(
            backend=inferred.backend,
            device=inferred.device,
            field=outcome.field,
            declared=declared,
            agreement=outcome.agreement(declared),
            possible=outcome.possible,
            interval=outcome.interval,
            evidence=outcome.evidence,
            reason=outcome.reason,
            cases=tuple(writer.save_case(c) for c in inference.cases.get(outcome.field, ())),
        )


def _translation(
    source: InferredConventions,
    to: InferredConventions,
    purpose: Purpose,
    count: int | None,
    route: Route,
    proofs: tuple[Proven, ...],
) -> run.Translation:
    return run.Translation(
        backend=source.backend,
        device=source.device,
        to_backend=to.backend,
        to_device=to.device,
        purpose=purpose,
        count=count,
        possible=route.layer is not None,
        exact=route.is_exact,
        parts=tuple(run.TranslatedPart(p.name, p.how, p.formula, p.reason) for p in route.parts),
        needs=route.needs,
        proofs=tuple(_proof(p) for p in proofs),
    )


def _proof(proof: Proven) -> run.Proof:
    said = proof.to_json()
    return run.Proof(**said)
