"""Which class writes the repro scripts of each TensorFlow backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.tensorflow.harness.image_writer import ImageWriter
from bnspec.backends.tensorflow.harness.variables_writer import RecomputedWriter, SavedModelWriter
from bnspec.backends.tensorflow.harness.writer import FusedWriter, MomentsWriter, SufficientWriter
from bnspec.backends.tensorflow.harness.xla_writer import FusedXlaWriter, GraphWriter, XlaWriter

WRITERS: Mapping[str, type[Writer]] = {
    "tensorflow.nn": MomentsWriter,
    "tensorflow.nn.sufficient": SufficientWriter,
    "tensorflow.nn.function": GraphWriter,
    "tensorflow.nn.recomputed": RecomputedWriter,
    "tensorflow.saved_model": SavedModelWriter,
    "tensorflow.fused": FusedWriter,
    "tensorflow.fused.xla": FusedXlaWriter,
    "tensorflow.xla": XlaWriter,
    "tensorflow.image": ImageWriter,
}
