"""Scripts of PyTorch's modules fused with a convolution that is the identity for quantization-aware training."""

from __future__ import annotations

from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.torch.harness.folded_writer import FoldedWriter
from bnspec.backends.torch.harness.writer import ModuleWriter


class QatWriter(FoldedWriter):
    """The fused module, whose parameters and buffers are the layer's."""

    imports = (*FoldedWriter.imports, "import torch.ao.nn.intrinsic.qat as qat")

    def build(self) -> Lines:
        """The module, the convolution, and both as one."""
        spatial, channels = self.config.rank - 2, self.config.channels
        numbers = f"{channels}, {channels}, 1" + (f", groups={channels}" if channels > 1 else "")
        intrinsic, identity = "torch.ao.nn.intrinsic", "torch.nn.Identity"
        return [
            *ModuleWriter.build(self),
            self.before_layer(f"Conv{spatial}d({numbers}"),
            "torch.nn.init.ones_(before.weight)",
            f"pair = {intrinsic}.ConvBn{spatial}d(before.train(), layer.train())",
            f"pair.qconfig = torch.ao.quantization.QConfig({identity}, {identity})",
            f"fused = qat.ConvBn{spatial}d.from_float(pair)",
        ]

    def forward(self, x: str, training: bool) -> str:
        """The fused module's call."""
        return f"fused.{'train' if training else 'eval'}()({x})"
