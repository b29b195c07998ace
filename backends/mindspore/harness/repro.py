"""Which class writes the repro scripts of each MindSpore backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.mindspore.harness.writer import CellWriter, RecomputeWriter, SavedWriter

WRITERS: Mapping[str, type[Writer]] = {
    "mindspore.nn": CellWriter,
    "mindspore.recompute": RecomputeWriter,
    "mindspore.ops.saved": SavedWriter,
}
