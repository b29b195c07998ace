"""Which class writes the repro scripts of each PyTorch backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.torch.harness.writer import DecomposedWriter, FunctionWriter, ModuleWriter

WRITERS: Mapping[str, type[Writer]] = {
    "torch.nn": ModuleWriter,
    "torch.functional": FunctionWriter,
    "torch.decomposed": DecomposedWriter,
}
