"""Which class writes the repro scripts of the Haiku backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.haiku.harness.writer import HaikuWriter
from bnspec.backends.harness.scripts.writer import Writer

WRITERS: Mapping[str, type[Writer]] = {"haiku": HaikuWriter}
