"""Which class writes the repro scripts of each TensorFlow backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.tensorflow.harness.image_writer import ImageWriter
from bnspec.backends.tensorflow.harness.writer import FusedWriter, MomentsWriter, SufficientWriter
from bnspec.backends.tensorflow.harness.xla_writer import XlaWriter

WRITERS: Mapping[str, type[Writer]] = {
    "tensorflow.nn": MomentsWriter,
    "tensorflow.nn.sufficient": SufficientWriter,
    "tensorflow.fused": FusedWriter,
    "tensorflow.xla": XlaWriter,
    "tensorflow.image": ImageWriter,
}
