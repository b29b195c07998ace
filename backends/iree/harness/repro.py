"""Which class writes the repro scripts of each IREE backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.iree.harness.writer import ImportedWriter, OperationWriter

WRITERS: Mapping[str, type[Writer]] = {
    "iree": OperationWriter,
    "iree.onnx": ImportedWriter,
}
