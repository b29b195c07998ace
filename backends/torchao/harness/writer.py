"""Scripts of PyTorch's modules that torchao folds into the convolution before them."""

from __future__ import annotations

from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.torch.harness.folded_writer import FoldedWriter
from bnspec.model.case import Step


class FoldedAoWriter(FoldedWriter):
    """The fold of prepare_pt2e alone, in an exported program."""

    differentiates = False
    packages = ("torchao", "torch")
    imports = (*FoldedWriter.imports, "from torchao.quantization.pt2e.utils import _fuse_conv_bn_")
    model = "torch.nn.Sequential(before, layer)"
    result = ""

    def call(self, step: Step, y: str) -> Lines:
        """The exported program, folded and called."""
        x = self.given(step.inputs[0])
        return [
            f"program = torch.export.export({self.model}.eval(), ({x},)).module()",
            "_fuse_conv_bn_(program)",
            f"{y} = program({x}){self.result}",
        ]


class SharedAoWriter(FoldedAoWriter):
    """A convolution that is called twice, and a new module after its first call."""

    model = "heads"
    result = "[1]"

    def build(self) -> Lines:
        """The module, the convolution, and the model of both and another module."""
        heads = "lambda self, x: (self[1](self[0](x)), self[2](self[0](x)))"
        other = f"torch.nn.BatchNorm2d({self.config.channels}{self.torch_dtype(self.config.parameter_dtype)})"
        return [
            *super().build(),
            f'heads = type("Heads", (torch.nn.ModuleList,), {{"forward": {heads}}})([before, {other}, layer])',
        ]
