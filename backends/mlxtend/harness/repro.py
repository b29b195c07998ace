"""Which class writes the repro scripts of the mlxtend backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.mlxtend.harness.writer import StandardizeWriter

WRITERS: Mapping[str, type[Writer]] = {"mlxtend": StandardizeWriter}
