"""Every target conforms to every clause, but for what is known of it."""

from __future__ import annotations

import pytest

from bnspec.backends.harness.known.entries import KNOWN
from bnspec.backends.harness.targets import Target
from bnspec.conformance.judge.known_deviations import reference_of
from bnspec.conformance.support import claimed, lost, support_of
from bnspec.reports.run.evidence import known_sentence
from bnspec.reports.run.records import Finding, ratio_text
from bnspec.reports.run.store import Run


def finding_of(run: Run, target: Target, clause: str) -> Finding:
    """The run's finding for a clause on a target."""
    return next(
        f for f in run.findings if (f.backend, f.device, f.clause) == (target.entry.name, target.device, clause)
    )


def test_target_conforms_to_the_clause(run: Run, target: Target, clause: str) -> None:
    """A deviation fails, unless every case of it is covered by a known one: then it is an expected failure."""
    finding = finding_of(run, target, clause)
    if finding.verdict in ("declined", "not_exercised", "unavailable"):
        pytest.skip(f"{finding.verdict}: {finding.message or 'the backend does not offer it, or no case asks'}")
    if finding.verdict == "conforms":
        return
    said = f"{finding.failures} of {finding.cases} cases, worst ratio {ratio_text(finding.ratio)}: {finding.message}"
    if finding.known:
        pytest.xfail(f"{'; '.join(map(known_sentence, finding.known))} ({said})")
    if finding.level == "MAY":
        pytest.xfail(f"recorded, a choice: {said}")
    pytest.fail(f"{finding.level} {clause}: {said}; smallest case {run.path / (finding.shrunk or '')}", pytrace=False)


def test_known_deviations_of_the_target_still_happen(run: Run, target: Target) -> None:
    """An entry that concerns this release on this device and that no finding shows any more is stale."""
    record = next(r for r in run.targets if (r.backend, r.device) == (target.entry.name, target.device))
    if record.status != "ready":
        pytest.skip(f"{record.status}: {record.reason}")
    if run.manifest.effort == "device":
        pytest.skip("too few cases to say that a deviation is gone: `make conformance` asks at effort quick")
    mine = [k for k in KNOWN if k.concerns(target.entry.name, target.device, record.versions)]
    stale = [
        f"{k.clauses[0]}: {k.reason}"
        for k in mine
        if not any(reference_of(k) in finding_of(run, target, c).known for c in k.clauses)
    ]
    assert not stale, "remove or narrow in backends/*/harness/known.py: " + "; ".join(stale)


def test_claimed_support_is_kept(run: Run, target: Target) -> None:
    """What a backend was seen to offer and to keep, it still does; without a claim its support is unknown, and that is no pass."""
    claim = claimed().get(target.entry.name)
    if claim is None or target.device != "cpu":
        pytest.skip("unknown: no support is claimed in conformance/support.txt")
    record = next(r for r in run.targets if (r.backend, r.device) == (target.entry.name, target.device))
    if record.status != "ready" or run.manifest.effort == "device":
        pytest.skip("unknown: " + (record.reason or "the claims are those of effort quick"))
    gone = lost(claim, support_of(run, target.entry.name))
    assert not gone, "; ".join(gone)
