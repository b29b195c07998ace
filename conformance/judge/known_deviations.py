"""The known deviations of a release, as findings refer to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.entries import KNOWN
from bnspec.model.case import Case
from bnspec.reports.run.evidence import KnownDeviation


def known_lookup(
    backend: str, versions: Mapping[str, str], device: str = "cpu"
) -> Callable[[str, Case], KnownDeviation | None]:
    """For a release of a backend on a device: which known deviation covers a clause on a case, the first one listed; None where none does."""
    mine = [(k, reference_of(k)) for k in KNOWN if k.concerns(backend, device, versions)]

    def lookup(clause: str, case: Case) -> KnownDeviation | None:
        return next((reference for k, reference in mine if clause in k.clauses and k.where(case)), None)

    return lookup


def reference_of(known: Known) -> KnownDeviation:
    """An entry as a record holds it."""
    return KnownDeviation(
        kind=known.kind,
        reason=known.reason,
        conditions=known.conditions,
        package=known.package,
        versions=known.versions,
        link=known.link,
    )
