"""Translations between any two backends: each one's conventions inferred, every ordered pair translated and proved.

A backend is opened twice: once for its conventions, once to run its own layers and those of all others, translated to it. Sources
with equal conventions ask for the same layers, which are run once. Then the results of every pair are compared; see ``proof``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from bnspec.backends.harness.launcher import PATIENT, Worker
from bnspec.backends.harness.targets import Target
from bnspec.clauses import CLAUSES
from bnspec.conformance.conventions.plan import infer
from bnspec.conformance.conventions.proof import Proof, cases_between, party_of, prove
from bnspec.conformance.conventions.translated_layer import Party
from bnspec.conformance.judge.collector import Collector
from bnspec.conformance.judge.known_deviations import known_lookup
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.translations.record import AnyTwo, How, Learnt, OwnDeviation, Pair, Proved

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
    opened: dict[str, Opened] = {}
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
            opened[target.entry.name] = Opened(
                target,
                dict(worker.hello.versions),
                declared,
                tuple(o.field for o in found.differences),
                Party(Recorded(), found.known, party.gradients),
            )
    parties = {name: one.party for name, one in opened.items()}
    for name, one in opened.items():
        says(f"layers of all others on {name}")
        _record(one.target, parties)
    pairs: dict[str, dict[str, Pair]] = {}
    for source in opened:
        says(f"from {source} to all others")
        pairs[source] = {t: _pair(source, t, parties) for t in opened if t != source}
    return AnyTwo(specification, measured, {n: _learnt(one) for n, one in opened.items()}, pairs, left_out)


@dataclasses.dataclass(frozen=True)
class Opened:
    """A backend that has layers. ``declared``: its conventions as its adapter has them; ``differences``: what experiments found otherwise."""

    target: Target
    versions: Mapping[str, str]
    declared: Conventions
    differences: tuple[str, ...]
    party: Party


def _learnt(one: Opened) -> Learnt:
    """What was learnt of a backend, once all pairs have been compared."""
    return Learnt(dict(one.versions), one.party.conventions.to_json(), one.differences, _own_deviations(one))


def _own_deviations(one: Opened) -> tuple[OwnDeviation, ...]:
    """What is not within the backend's own bounds, by what it is and why."""
    known = known_lookup(one.target.entry.name, one.versions, one.target.device)
    collector = Collector([*CLAUSES], one.declared, known)
    found: dict[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], dict[str, None]] = {}
    for layer in one.party.known.values():
        if layer.problem() or not layer.own_deviations:
            continue
        said = collector.judged(layer.case, layer.observation, Oracle(layer.case))
        broken = (c for c, j in said.judgements.items() if j is not None and not j.holds and CLAUSES[c].level != "MAY")
        reasons = tuple(sorted({k.reason for k in said.known.values()}))
        found.setdefault((layer.own_deviations, tuple(sorted(broken)), reasons), {})[layer.dtypes] = None
    return tuple(OwnDeviation(tuple(sorted(d)), *key) for key, d in sorted(found.items()))


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


def _pair(source: str, target: str, parties: Mapping[str, Party]) -> Pair:
    proven = prove(parties[source], parties[target])
    ends = {"source": source, "target": target}
    return Pair(_proved(proven.inference, ends), _proved(proven.training, ends))


def _proved(proofs: Sequence[Proof], ends: Mapping[str, str]) -> Proved:
    """The proofs of all layers in one: the worst ratio, and why there is none of a layer."""
    made, failed = [p for p in proofs if not p.reason], [p for p in proofs if not p.holds]
    agreeing = [p for p in made if p.holds]
    worst = max((p.ratio for p in agreeing), default=None)
    why = [*(f"{p.layer}: {p.reason or p.worst}" for p in failed), *(p.reason for p in proofs if p.reason)]
    return Proved(
        ("deviates" if all(p.deviating for p in failed) else "fails") if failed else _how(made),
        layers=len(made),
        of=len(proofs),
        ratio=worst,
        why=next(iter(why), ""),
        agreeing=len(agreeing),
        deviating=tuple(sorted({ends[side] for p in failed for side in p.deviating})),
    )


def _how(made: Sequence[Proof]) -> How:
    """How proofs that all hold were made."""
    if not made:
        return "none"
    return "exact" if all(p.exact for p in made) else "rounded"
