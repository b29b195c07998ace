"""Which class writes the repro scripts of each Haiku backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.haiku.harness.writer import HaikuWriter, ReplicasWriter
from bnspec.backends.harness.scripts.writer import Writer

WRITERS: Mapping[str, type[Writer]] = {"haiku": HaikuWriter, "haiku.replicas": ReplicasWriter}
