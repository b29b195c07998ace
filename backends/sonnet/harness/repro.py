"""Which class writes the repro scripts of each Sonnet backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.sonnet.harness.writer import SonnetWriter

WRITERS: Mapping[str, type[Writer]] = {"sonnet": SonnetWriter, "sonnet.fused": SonnetWriter}
