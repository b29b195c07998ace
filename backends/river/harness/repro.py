"""Which class writes the repro scripts of each river backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.river.harness.writer import LearnManyWriter, LearnOneWriter

WRITERS: Mapping[str, type[Writer]] = {"river": LearnManyWriter, "river.one": LearnOneWriter}
