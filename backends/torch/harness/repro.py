"""Which class writes the repro scripts of each PyTorch backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.torch.harness.folded_writer import (
    FoldedLinearWriter,
    FoldedWriter,
    FrozenLinearWriter,
    FrozenWriter,
    FxSharedWriter,
    FxWriter,
    TransposedGroupedWriter,
    TransposedWriter,
)
from bnspec.backends.torch.harness.forms_writer import (
    AutocastWriter,
    ChannelsLastWriter,
    CheckpointWriter,
    CompileWriter,
    CumulativeWriter,
    DecomposedWriter,
    DeterministicWriter,
    ExportCumulativeWriter,
    ExportWriter,
    LazyWriter,
    VmapWriter,
)
from bnspec.backends.torch.harness.quantization_writer import QatWriter
from bnspec.backends.torch.harness.writer import (
    FunctionWriter,
    MkldnnWriter,
    ModuleWriter,
    NativeOutWriter,
    NativeWriter,
)

WRITERS: Mapping[str, type[Writer]] = {
    "torch.nn": ModuleWriter,
    "torch.functional": FunctionWriter,
    "torch.decomposed": DecomposedWriter,
    "torch.cumulative": CumulativeWriter,
    "torch.checkpoint": CheckpointWriter,
    "torch.native": NativeWriter,
    "torch.native.out": NativeOutWriter,
    "torch.mkldnn": MkldnnWriter,
    "torch.autocast": AutocastWriter,
    "torch.deterministic": DeterministicWriter,
    "torch.lazy": LazyWriter,
    "torch.compile": CompileWriter,
    "torch.export": ExportWriter,
    "torch.export.cumulative": ExportCumulativeWriter,
    "torch.vmap": VmapWriter,
    "torch.channels_last": ChannelsLastWriter,
    "torch.qat": QatWriter,
    "torch.folded": FoldedWriter,
    "torch.folded.transposed": TransposedWriter,
    "torch.folded.transposed.grouped": TransposedGroupedWriter,
    "torch.folded.linear": FoldedLinearWriter,
    "torch.folded.jit": FrozenWriter,
    "torch.folded.jit.linear": FrozenLinearWriter,
    "torch.folded.fx": FxWriter,
    "torch.folded.fx.shared": FxSharedWriter,
}
