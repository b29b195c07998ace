"""Which class writes the repro scripts of the tinygrad backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.tinygrad.harness.writer import TinygradWriter

WRITERS: Mapping[str, type[Writer]] = {"tinygrad": TinygradWriter}
