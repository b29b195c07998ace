"""Which class writes the repro scripts of the vaex backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.vaex.harness.writer import VaexWriter

WRITERS: Mapping[str, type[Writer]] = {"vaex": VaexWriter}
