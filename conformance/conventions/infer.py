"""Conventions and translations from workers: what ``bnspec conventions`` asks for."""

from __future__ import annotations

import contextlib

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.conformance.conventions.inferred import InferredConventions, ProvenTranslation
from bnspec.conformance.conventions.plan import infer
from bnspec.conformance.conventions.proof import TRAINING_STEPS, party_of, prove
from bnspec.conformance.conventions.translated_cases import batches, layers
from bnspec.conformance.conventions.translated_layer import Party
from bnspec.errors import HarnessError, UsageError
from bnspec.translation.translate import translate


def one_target(backend: str, device: str) -> Target:
    """The one target of this name. Raises UsageError: there is none, or several."""
    found = targets_of([backend], [device])
    if len(found) != 1:
        raise UsageError(
            f"{backend!r} on {device!r} names {len(found)} targets.",
            "they are " + ", ".join(t.name for t in found) + ", and conventions are one target's.",
            "name one backend and one device.",
        )
    return found[0]


def infer_conventions_with_translation(
    source: Target, target: Target | None
) -> tuple[InferredConventions, ProvenTranslation | None]:
    """The source's conventions and, with a target, its translation. Raises UsageError: a target that cannot be opened."""
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(opened(source))
        inferred = infer_conventions(source, here)
        if target is None:
            return inferred, None
        there = stack.enter_context(opened(target))
        other = infer_conventions(target, there)
        parties = party_of(here, inferred.inference.known), party_of(there, other.inference.known)
        return inferred, translated_between(*parties, other)


def infer_conventions(target: Target, worker: Worker) -> InferredConventions:
    """All experiments on one worker."""
    declared = worker.hello.conventions
    assert declared is not None
    hello = worker.hello
    framework = str(hello.details.get("framework", ""))
    return InferredConventions(target.entry.name, target.device, hello.versions, infer(worker, declared), framework)


def translated_between(source: Party, target: Party, other: InferredConventions) -> ProvenTranslation:
    """The translation of the ordinary layer, and the proofs of all layers."""
    _, layer = next(layers(source.conventions))
    count = batches(layer, TRAINING_STEPS).count
    general, fixed = (translate(source.conventions, target.conventions, layer, c) for c in (None, count))
    return ProvenTranslation(other, general, fixed, count, prove(source, target))


def opened(target: Target) -> Worker:
    """A worker that is ready. Raises UsageError: the framework or device is not here; HarnessError: it broke."""
    worker = Worker(target.entry, target.device)
    hello = worker.hello
    if hello.status == "ready":
        return worker
    worker.stop()
    error = UsageError if hello.status in ("absent", "unavailable") else HarnessError
    raise error(
        f"{target.name} cannot be opened: {hello.status}.", hello.reason, "bnspec backends shows what is ready here."
    )
