"""Which class writes the repro scripts of the LiteRT backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.litert.harness.writer import ConvertedWriter

WRITERS: Mapping[str, type[Writer]] = {"litert": ConvertedWriter}
