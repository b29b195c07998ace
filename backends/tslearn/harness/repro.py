"""Which class writes the repro scripts of the tslearn backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.tslearn.harness.writer import SeriesWriter

WRITERS: Mapping[str, type[Writer]] = {"tslearn": SeriesWriter}
