"""Which class writes the repro scripts of each torchao backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.torchao.harness.writer import FoldedAoWriter, SharedAoWriter

WRITERS: Mapping[str, type[Writer]] = {"torch.folded.ao": FoldedAoWriter, "torch.folded.ao.shared": SharedAoWriter}
