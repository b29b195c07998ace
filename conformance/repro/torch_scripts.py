"""Scripts in PyTorch: the modules of ``torch.nn`` and the function ``torch.nn.functional.batch_norm``."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np

from bnspec.buffers import overlap
from bnspec.case import Case, Step
from bnspec.conformance.checks.check import shares_state
from bnspec.conformance.repro.literals import Literal
from bnspec.conformance.repro.writer import Writer, default_parameters, default_state, python_name

MODULES = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}


class TorchWriter(Writer):
    """What the two have in common: tensors, gradients, results."""

    packages: tuple[str, ...] = ("torch",)
    imports: tuple[str, ...] = ("import torch",)
    weights = ("weight", "bias")

    def devices(self) -> Sequence[str]:
        """PyTorch's kinds of device."""
        return ("cpu", "cuda", "mps", "xpu")

    def laid_out(self, array: np.ndarray) -> np.ndarray:
        """PyTorch has no negative strides: those are packed."""
        return np.ascontiguousarray(array) if any(s < 0 for s in array.strides) else array

    def torch_dtype(self, name: str) -> str:
        """The argument that names a dtype; nothing for float32, the default."""
        return "" if name == "float32" else f", dtype=torch.{name}"

    def tensor(self, value: Literal) -> str:
        """``torch.tensor([...])``, with a view's strides."""
        dtype, shape = self.torch_dtype(value.dtype), value.shape
        text = {
            "list": f"torch.tensor({value.text}{dtype})",
            "full": f"torch.full({shape}, {value.text}{dtype})",
            "empty": f"torch.empty({shape}{dtype})",
            "hex": f'torch.frombuffer(bytearray.fromhex("{value.text}"), dtype=torch.{value.dtype}).reshape({shape})',
        }[value.kind]
        if value.strided is not None:
            wanted, strides, offset = value.strided
            text += f".as_strided({wanted}, {strides}{f', {offset}' if offset else ''})"
        if value.permuted:
            text += f".permute{value.permuted}"
        return text if self.device == "cpu" else f'{text}.to("{self.device}")'

    @abc.abstractmethod
    def forward(self, x: str, training: bool) -> str:
        """The expression of y."""

    def leaves(self) -> Sequence[str]:
        """The parameters that gradients are asked for."""
        return [self.variable(n) for n in ("gamma", "beta")] if self.config.affine else []

    def call(self, step: Step, y: str) -> list[str]:
        """Without gradients under no_grad; with them by torch.autograd.grad."""
        training = step.call.startswith("training")
        x = self.given(step.inputs[0])
        if not step.call.endswith("_gradients"):
            return [f"with torch.no_grad(): {y} = {self.forward(x, training)}"]
        wanted = ["dx", "dgamma", "dbeta"] if self.config.affine else ["dx"]
        names = ", ".join(wanted) if len(wanted) > 1 else "(dx,)"
        leaves = ", ".join(["leaf", *self.leaves()])
        return [
            f"leaf = {x}.detach().requires_grad_()",
            f"{y} = {self.forward('leaf', training)}",
            f"{names} = torch.autograd.grad({y}, [{leaves}], {self.given(step.inputs[1])})",
        ]

    def given(self, name: str) -> str:
        """An input as it is named in the script."""
        return name if self.is_part(name) else python_name(name)

    def element(self, expression: str, index: str) -> str:
        """``y[0, 0].item()``."""
        return f"{expression}[{index}].item()"

    def host(self, expression: str) -> str:
        """A view of the tensor's memory, where it is on the CPU; bfloat16 as its bits."""
        place = "" if self.device == "cpu" else ".cpu()"
        bits = ".view(torch.int16)" if self.config.dtype == "bfloat16" else ""
        return f"{expression}.detach(){place}{bits}.numpy()"

    def dtype(self, expression: str) -> str:
        """What stands after "torch." in its name."""
        return f"str({expression}.dtype)[6:]"


class ModuleWriter(TorchWriter):
    """``torch.nn.BatchNorm*d`` in train() and eval()."""

    def build(self) -> list[str]:
        """The module, with parameters and buffers put in."""
        config = self.config
        arguments = [str(config.channels), f"eps={config.epsilon!r}", f"momentum={1.0 - config.decay!r}"]
        if not config.affine:
            arguments.append("affine=False")
        if self.device != "cpu":
            arguments.append(f'device="{self.device}"')
        dtype = self.torch_dtype(config.parameter_dtype)
        lines = [f"layer = torch.nn.{MODULES[config.rank]}({', '.join(arguments)}{dtype})"]
        if not default_parameters(self.case):
            values = ", ".join(f"torch.nn.Parameter({self.array(n)})" for n in ("gamma", "beta"))
            lines.append(f"layer.weight, layer.bias = {values}")
        return lines if default_state(self.case) and not shares_state(self.case) else lines + self.restart()

    def restart(self) -> list[str]:
        """The buffers."""
        pairs = (("running_mean", "beta"), ("running_var", "gamma"))
        values = ", ".join(
            f"{self.variable(p)}.detach()" if shares_memory(self.case, s, p) else self.array(s) for s, p in pairs
        )
        return [f"layer.running_mean, layer.running_var = {values}"]

    def forward(self, x: str, training: bool) -> str:
        """The module's call."""
        return f"layer.{'train' if training else 'eval'}()({x})"

    def variable(self, name: str) -> str:
        """Parameters and buffers are the module's."""
        return {
            "gamma": "layer.weight",
            "beta": "layer.bias",
            "running_mean": "layer.running_mean",
            "running_var": "layer.running_var",
        }.get(name, name)


class DecomposedWriter(ModuleWriter):
    """The same modules under torch.compile, decomposed and run eagerly."""

    def build(self) -> list[str]:
        """The module, and what torch.compile makes of it."""
        options = 'backend="aot_eager_decomp_partition", dynamic=True, fullgraph=True'
        return [*super().build(), f"compiled = torch.compile(layer, {options})"]

    def forward(self, x: str, training: bool) -> str:
        """The compiled module's call."""
        return f"compiled.{'train' if training else 'eval'}()({x})"


class FunctionWriter(TorchWriter):
    """``torch.nn.functional.batch_norm``, which updates the running statistics in place."""

    def build(self) -> list[str]:
        """The function's arguments."""
        lines = self.restart()
        if self.config.affine:
            pairs = (("running_var", "gamma"), ("running_mean", "beta"))
            sources = [
                f"{self.variable(s)}.detach()" if shares_memory(self.case, s, p) else self.array(p) for s, p in pairs
            ]
            lines.append("weight, bias = " + ", ".join(f"{source}.requires_grad_()" for source in sources))
        return lines

    def restart(self) -> list[str]:
        """The running statistics."""
        return [f"mean, var = {self.array('running_mean')}, {self.array('running_var')}"]

    def forward(self, x: str, training: bool) -> str:
        """The function's call."""
        weights = "weight, bias" if self.config.affine else "None, None"
        numbers = f"momentum={1.0 - self.config.decay!r}, eps={self.config.epsilon!r}"
        return f"torch.nn.functional.batch_norm({x}, mean, var, {weights}, training={training}, {numbers})"

    def variable(self, name: str) -> str:
        """The names that ``build`` gave."""
        return {"gamma": "weight", "beta": "bias", "running_mean": "mean", "running_var": "var"}.get(name, name)


def shares_memory(case: Case, state: str, parameter: str) -> bool:
    """Whether a running statistic and a parameter of the case are the same memory."""
    return parameter in case.arrays and overlap(case.arrays[state], case.arrays[parameter])
