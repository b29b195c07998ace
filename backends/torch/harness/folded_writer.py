"""Scripts of PyTorch's modules folded into the layer before them."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.torch.harness.writer import ModuleWriter
from bnspec.model.case import Step


class FoldedWriter(ModuleWriter):
    """The same modules, folded into a convolution that is the identity."""

    before = "Conv"
    fold = "torch.nn.utils.fuse_conv_bn_eval(before, layer.eval())"

    def groups(self) -> int:
        """As in the adapter."""
        channels = self.config.channels
        return channels // 2 if channels % 2 == 0 else 1

    def build(self) -> Lines:
        """The module, and the convolution."""
        spatial, channels, groups = self.config.rank - 2, self.config.channels, self.groups()
        numbers = f"{channels}, {channels}, 1" + (f", groups={groups}" if groups > 1 else "")
        return [
            *super().build(),
            self.before_layer(f"{self.before}{spatial}d({numbers}"),
            f"torch.nn.init.dirac_(before.weight{f', groups={groups}' if groups > 1 else ''})",
        ]

    def before_layer(self, made: str) -> str:
        """The statement that constructs the layer before."""
        place = f', device="{self.device}"' if self.device != "cpu" else ""
        return f"before = torch.nn.{made}, bias=False{place}{self.torch_dtype(self.config.dtype)}).eval()"

    def forward(self, x: str, training: bool) -> str:
        """The folded layer's call."""
        return f"{self.fold}({x})"

    def between(self, step: Step) -> Lines:
        """Raises NoScript: the adapter offers nothing of the kind."""
        raise NoScript(f"{step.call} is not offered")


class TransposedWriter(FoldedWriter):
    """A transposed convolution."""

    before = "ConvTranspose"
    fold = "torch.nn.utils.fuse_conv_bn_eval(before, layer.eval(), transpose=True)"

    def groups(self) -> int:
        """As in the adapter."""
        return 1


class TransposedGroupedWriter(TransposedWriter):
    """A transposed convolution in groups."""

    def groups(self) -> int:
        """As in the adapter."""
        channels = self.config.channels
        return channels // 2 if channels % 2 == 0 else channels


class FrozenWriter(FoldedWriter):
    """A frozen script of the convolution and the module."""

    fold = "torch.jit.freeze(torch.jit.script(torch.nn.Sequential(before, layer).eval()))"


class FxWriter(FoldedWriter):
    """A traced model of the convolution and the module."""

    imports = (*FoldedWriter.imports, "from torch.fx.experimental.optimization import fuse")
    fold = "fuse(torch.nn.Sequential(before, layer).eval())"


class FxSharedWriter(FxWriter):
    """A convolution that is called twice, and a new module after its first call."""

    def build(self) -> Lines:
        """The module, the convolution, and the model of both and another module."""
        heads = "lambda self, x: (self[1](self[0](x)), self[2](self[0](x)))"
        shape = f"{self.config.channels}, eps=0.0{self.torch_dtype(self.config.parameter_dtype)}"
        return [
            *super().build(),
            f"other = torch.nn.BatchNorm{self.config.rank - 2}d({shape})",
            "other.running_var.fill_(4.0)",
            f'heads = type("Heads", (torch.nn.ModuleList,), {{"forward": {heads}}})([before, other, layer]).eval()',
        ]

    def forward(self, x: str, training: bool) -> str:
        """The traced model's second result."""
        return f"fuse(heads)({x})[1]"


class FoldedLinearWriter(FoldedWriter):
    """A linear layer that is the identity."""

    fold = "torch.nn.utils.fuse_linear_bn_eval(before, layer.eval())"

    def build(self) -> Lines:
        """The module, and the linear layer over the last extent of x."""
        outputs = next(self.given_case.arrays[s.inputs[0]].shape[-1] for s in self.given_case.steps if s.inputs)
        return [
            *ModuleWriter.build(self),
            self.before_layer(f"Linear({outputs}, {outputs}"),
            "torch.nn.init.eye_(before.weight)",
        ]


class FrozenLinearWriter(FoldedLinearWriter):
    """A frozen script of the linear layer and the module."""

    fold = FrozenWriter.fold
