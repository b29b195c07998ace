"""Which class writes the repro scripts of each PaddlePaddle backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.paddle.harness.predicted_writer import (
    FoldedWriter,
    PredictedWriter,
    TransposedGroupedWriter,
    TransposedWriter,
)
from bnspec.backends.paddle.harness.writer import BatchWriter, FunctionWriter, ModuleWriter, RecomputeWriter

WRITERS: Mapping[str, type[Writer]] = {
    "paddle.nn": ModuleWriter,
    "paddle.batch": BatchWriter,
    "paddle.functional": FunctionWriter,
    "paddle.inference": PredictedWriter,
    "paddle.inference.plain": PredictedWriter,
    "paddle.folded": FoldedWriter,
    "paddle.folded.transposed": TransposedWriter,
    "paddle.folded.transposed.grouped": TransposedGroupedWriter,
    "paddle.recompute": RecomputeWriter,
}
