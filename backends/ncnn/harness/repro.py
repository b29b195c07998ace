"""Which class writes the repro scripts of each ncnn backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.ncnn.harness.writer import BatchWriter, SampleWriter

WRITERS: Mapping[str, type[Writer]] = {"ncnn": SampleWriter, "ncnn.batch": BatchWriter}
