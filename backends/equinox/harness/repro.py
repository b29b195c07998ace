"""Which class writes the repro scripts of each Equinox backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.equinox.harness.writer import BatchWriter, EmaWriter
from bnspec.backends.harness.scripts.writer import Writer

WRITERS: Mapping[str, type[Writer]] = {"equinox.batch": BatchWriter, "equinox.ema": EmaWriter}
