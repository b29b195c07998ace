"""Which class writes the repro scripts of each ExecuTorch backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.executorch.harness.writer import BatchWriter, PortableWriter
from bnspec.backends.harness.scripts.writer import Writer

WRITERS: Mapping[str, type[Writer]] = {
    "executorch": PortableWriter,
    "executorch.batch": BatchWriter,
}
