"""Translations between any two backends: each one's conventions inferred, every ordered pair translated and proved.

A backend is opened twice: once for its conventions, once to run its own layers and those of all others, translated to it. Sources
with equal conventions ask for the same layers, which are run once. Then the results of every pair are compared; see ``proof``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from bnspec.backends.harness.launcher import PATIENT, Worker
from bnspec.backends.harness.targets import Target
from bnspec.conformance.conventions.plan import infer
from bnspec.conformance.conventions.proof import Proof, cases_between, party_of, prove
from bnspec.conformance.conventions.translated_layer import Party
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.reports.translations.record import AnyTwo, How, Learnt, Pair, Proved

#: Says what is being done.
Says = Callable[[str], None]


class Recorded:
    """What a backend gave for cases, without its worker."""

    def __init__(self) -> None:
        self.observations: dict[str, Observation] = {}

    def run(self, case: Case) -> Observation:
        """The case's observation. Raises KeyError: it was not run."""
        return self.observations[case.id]


def any_two(targets: Sequence[Target], specification: str, measured: str, says: Says) -> AnyTwo:
    """Conventions of all targets, and the proofs of every ordered pair."""
    targets = sorted(targets, key=lambda t: t.entry.name)
    learnt: dict[str, Learnt] = {}
    parties: dict[str, Party] = {}
    left_out: dict[str, str] = {}
    for target in targets:
        says(f"conventions of {target.entry.name}")
        with _worker(target) as worker:
            if worker.hello.status != "ready":
                left_out[target.entry.name] = worker.hello.reason
                continue
            declared = worker.hello.conventions
            assert declared is not None
            party = party_of(worker, declared)
            own = next(iter(party.known.values()))
            if own.observation.steps[0].status != "ok":
                left_out[target.entry.name] = own.problem()
                continue
            found = infer(worker, declared)
            differences = tuple(o.field for o in found.differences)
            learnt[target.entry.name] = Learnt(dict(worker.hello.versions), found.known.to_json(), differences)
            parties[target.entry.name] = Party(Recorded(), found.known, party.gradients)
    for target in targets:
        if target.entry.name in parties:
            says(f"layers of all others on {target.entry.name}")
            _record(target, parties)
    pairs: dict[str, dict[str, Pair]] = {}
    for source, here in parties.items():
        says(f"from {source} to all others")
        pairs[source] = {t: _pair(here, there) for t, there in parties.items() if t != source}
    return AnyTwo(specification, measured, learnt, pairs, left_out)


def _worker(target: Target) -> Worker:
    return Worker(target.entry, target.device, environment=PATIENT)


def _record(target: Target, parties: Mapping[str, Party]) -> None:
    """Run a backend's own layers, and those of all others."""
    own = parties[target.entry.name]
    assert isinstance(own.worker, Recorded)
    known = own.worker.observations
    with _worker(target) as worker:
        for case in _asked(own, parties.values()):
            if case.id not in known:
                known[case.id] = worker.run(case)


def _asked(own: Party, parties: Iterable[Party]) -> Iterable[Case]:
    """The cases of a party as source and as target; of sources with equal conventions once."""
    done: set[str] = set()
    for other in parties:
        key = repr(other.conventions)
        if other is own or key in done:
            continue
        done.add(key)
        for _, case in cases_between(other, own):
            yield case
        for case, _ in cases_between(own, other):
            yield case


def _pair(source: Party, target: Party) -> Pair:
    proven = prove(source, target)
    return Pair(_proved(proven.inference), _proved(proven.training))


def _proved(proofs: Sequence[Proof]) -> Proved:
    """The proofs of all layers in one: the worst ratio, and why there is none of a layer."""
    made = [p for p in proofs if not p.reason]
    failed = [f"{p.layer}: {p.reason or p.worst}" for p in proofs if not p.holds]
    worst = max((p.ratio for p in made), default=None)
    return Proved(
        "fails" if failed else _how(made),
        layers=len(made),
        of=len(proofs),
        ratio=None if worst is None else "inf" if math.isinf(worst) else worst,
        why=next(iter([*failed, *(p.reason for p in proofs if p.reason)]), ""),
    )


def _how(made: Sequence[Proof]) -> How:
    """How proofs that all hold were made."""
    if not made:
        return "none"
    return "exact" if all(p.exact for p in made) else "rounded"
