"""Known deviations of Ray Data."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known

KNOWN: tuple[Known, ...] = ()
