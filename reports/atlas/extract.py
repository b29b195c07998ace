"""An entry from the run directory in which a release was judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bnspec.model.names import base_of
from bnspec.reports.atlas.entry import BackendEntry, Entry
from bnspec.reports.compare.bits import SAME_MACHINE, digests
from bnspec.reports.compare.conventions import inferred, possible_text, text
from bnspec.reports.compare.judged import JudgedTarget, judged_targets
from bnspec.reports.compare.operands import Place
from bnspec.reports.compare.times import CONTROL
from bnspec.reports.run.bits import CaseBits
from bnspec.reports.run.codec import plain
from bnspec.reports.run.records import Timing, ratio_value
from bnspec.reports.run.store import Run
from bnspec.reports.summary.cells import cells


class Environment(NamedTuple):
    """What a release was measured in: the Python, the packages by name, and the hash of both."""

    python: str
    packages: Mapping[str, str]
    lock: str


def entry_of(run: Run, package: str, release: str, environment: Environment, domains: Mapping[str, str]) -> Entry:
    """The entry of a release. ``domains``: by case, the dtype of x. Raises ValueError: the run contradicts itself."""
    judged = judged_targets(run)
    backends = {base_of(t.backend): _backend(run, Place(t.backend, t.device), judged, domains) for t in run.targets}
    manifest = run.manifest
    return Entry(
        package=package,
        release=release,
        python=environment.python,
        packages=dict(environment.packages),
        lock=environment.lock,
        device=next(iter(t.device for t in run.targets), "cpu"),
        machine={name: str(manifest.machine.get(name, "")) or "unknown" for name in SAME_MACHINE},
        bnspec=manifest.bnspec,
        specification=str(manifest.options.get("specification") or "unknown"),
        seed=manifest.seed or 0,
        effort=manifest.effort,
        measured=manifest.started[:10],
        backends=backends,
    )


def _backend(run: Run, place: Place, judged: Mapping[Place, JudgedTarget], domains: Mapping[str, str]) -> BackendEntry:
    record = next(t for t in run.targets if (t.backend, t.device) == place)
    if record.status != "ready":
        return BackendEntry(status=record.status, reason=record.reason)
    verdicts, worst = _verdicts(judged.get(place, JudgedTarget()), domains)
    findings = {f.clause: f for f in run.findings if (f.backend, f.device) == place}
    declined: dict[str, list[str]] = {}
    for clause, finding in findings.items():
        if clause not in verdicts and finding.reasons:
            declined.setdefault(_reason(finding.reasons), []).append(clause)
    conventions = inferred(run, place)
    declared: dict[str, Any] = plain(record.conventions)
    return BackendEntry(
        status="ready",
        verdicts=verdicts,
        worst=worst,
        declined={reason: tuple(clauses) for reason, clauses in declined.items()},
        conventions={f: possible_text(c) for f, c in conventions.items()},
        declared={f: text(v) for f, v in declared.items() if f not in conventions},
        stability=_stability(run, place),
        times=_times(run, place),
        bits=_bits(digests(run, place)),
    )


def _verdicts(
    judged: JudgedTarget, domains: Mapping[str, str]
) -> tuple[dict[str, dict[str, tuple[int, int]]], dict[str, str]]:
    found: dict[str, dict[str, tuple[int, int]]] = {}
    worst: dict[str, float] = {}
    for clause, outcomes in judged.outcomes.items():
        for case, outcome in outcomes.items():
            if not outcome.judged:
                continue
            cells = found.setdefault(clause, {})
            count, failing = cells.get(domain := domains.get(case, "other"), (0, 0))
            cells[domain] = count + 1, failing + (outcome.broken is not None)
            if outcome.broken is not None:
                worst[clause] = max(worst.get(clause, 0.0), ratio_value(outcome.ratio))
    return found, {clause: f"{ratio:.2g}" for clause, ratio in worst.items()}


def _reason(reasons: Iterable[Any]) -> str:
    """The commonest."""
    return str(max(reasons, key=lambda r: r.cases).reason)


def _stability(run: Run, place: Place) -> dict[str, str]:
    curves = [c for c in run.stability_curves if (c.backend, c.device) == place and c.stability_class is not None]
    return {f"{c.output} {c.dtype}": f"class {c.stability_class}{'' if c.sure else ', not sure'}" for c in curves}


def _times(run: Run, place: Place) -> dict[str, float]:
    """The median over the control's, where both conform; two digits."""

    def medians(timings: Iterable[Timing]) -> dict[str, float]:
        return {c.workload: c.median_ns for c in cells(timings) if c.verdict == "conforms" and c.median_ns}

    own = medians(t for t in run.timings if (t.backend, t.device) == place and not t.conditions)
    control = medians(t for t in run.timings if base_of(t.backend) == CONTROL and not t.conditions)
    return {w: float(f"{own[w] / control[w]:.2g}") for w in own.keys() & control.keys()}


def _bits(cases: Mapping[str, CaseBits]) -> dict[str, str]:
    """A digest for each output, of all cases that gave it."""
    outputs: dict[str, dict[str, str]] = {}
    for case in sorted(cases):
        for name, digest in cases[case].outputs.items():
            outputs.setdefault(name, {})[case] = digest
    return {n: hashlib.sha256(json.dumps(d, sort_keys=True).encode()).hexdigest()[:16] for n, d in outputs.items()}
