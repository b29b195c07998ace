"""Which class writes the repro scripts of the MNN backends."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.mnn.harness.converted_writer import (
    ConstantWriter,
    ConvertedWriter,
    FoldedTransposedWriter,
    FoldedWriter,
    InputsWriter,
    OutputWriter,
)
from bnspec.backends.mnn.harness.writer import ModuleWriter

WRITERS: Mapping[str, type[Writer]] = {
    "mnn": ModuleWriter,
    "mnn.converted": ConvertedWriter,
    "mnn.converted.constant": ConstantWriter,
    "mnn.converted.inputs": InputsWriter,
    "mnn.converted.output": OutputWriter,
    "mnn.folded": FoldedWriter,
    "mnn.folded.transposed": FoldedTransposedWriter,
}
