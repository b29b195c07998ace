"""Scripts in PyTorch: the modules of ``torch.nn`` and the function ``torch.nn.functional.batch_norm``."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np

from bnspec.backends.harness.scripts.literals import Literal
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.harness.scripts.writer import Writer, default_parameters, default_state
from bnspec.model.buffers import overlap
from bnspec.model.case import PARAMETERS, Case, Step, shares_state

SECOND = ("by_x", "by_dy", "by_gamma")
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
        """PyTorch has no negative strides, nor strides of parts of elements: those are packed."""
        return array.copy(order="C") if any(s < 0 or s % array.itemsize for s in array.strides) else array

    def torch_dtype(self, name: str) -> str:
        """The argument that names a dtype; nothing for float32, the default."""
        return "" if name == "float32" else f", dtype=torch.{name}"

    def tensor(self, value: Literal) -> str:
        """``torch.tensor([...])``, moved to the device before it gets a view's strides: a move would pack a view."""
        dtype, shape = self.torch_dtype(value.dtype), value.shape
        text = {
            "list": f"torch.tensor({value.text}{dtype})",
            "full": f"torch.full({shape}, {value.text}{dtype})",
            "empty": f"torch.empty({shape}{dtype})",
            "drawn": f"torch.from_numpy({value.text}).to(torch.{value.dtype})",
            "hex": f'torch.frombuffer(bytearray.fromhex("{value.text}"), dtype=torch.{value.dtype}).reshape({shape})',
        }[value.kind]
        if self.device != "cpu":
            text += f'.to("{self.device}")'
        if value.strided is not None:
            wanted, strides, offset = value.strided
            text += f".as_strided({wanted}, {strides}{f', {offset}' if offset else ''})"
        if value.permuted:
            text += f".permute{value.permuted}"
        return text

    @abc.abstractmethod
    def forward(self, x: str, training: bool) -> str:
        """The expression of y."""

    def leaves(self) -> Sequence[str]:
        """The parameters that gradients are asked for."""
        return [self.variable(n) for n in ("gamma", "beta")] if self.config.affine and not self.frozen else []

    def array(self, name: str) -> str:
        """Where a script has to be short, an x that is differentiated by is itself the leaf."""
        differentiated = [s.inputs[0] for s in self.given_case.steps if s.call.kind == "gradients"]
        return super().array(name) + (".requires_grad_()" if self.compact and name in differentiated else "")

    def leaf(self, x: str) -> tuple[Lines, str]:
        """The leaf that gradients by x are asked of, and the statement that makes it of x, if one is needed."""
        if self.compact and not self.is_part(x):
            return [], self.given(x)
        return [f"leaf = {self.given(x)}.detach().requires_grad_()"], "leaf"

    def call(self, step: Step, y: str) -> Lines:
        """Without gradients under no_grad; with them by torch.autograd.grad."""
        training = step.call.mode == "training"
        x = self.given(step.inputs[0])
        if not step.call.has_gradients:
            return [block("with torch.no_grad():", [f"{y} = {self.forward(x, training)}"])]
        define, leaf = self.leaf(step.inputs[0])
        leaves = [leaf, *self.leaves()]
        names = "dx, dgamma, dbeta" if len(leaves) > 1 else "(dx,)"
        return [
            *define,
            f"{y} = {self.forward(leaf, training)}",
            f"{names} = torch.autograd.grad({y}, [{', '.join(leaves)}], {self.given(step.inputs[1])})",
        ]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """torch.autograd.grad by the only leaves that require a gradient."""
        leaves = dict(zip(("dx", "dgamma", "dbeta"), ("leaf", *self.leaves())))
        others = [f"{leaf}.requires_grad_(False)" for n, leaf in leaves.items() if n not in wanted and n != "dx"]
        asked = [n for n in leaves if n in wanted]
        lines = [f"leaf = {self.given(step.inputs[0])}.detach().requires_grad_({'dx' in wanted})", *others]
        lines.append(f"{y} = {self.forward('leaf', step.call.mode == 'training')}")
        names, given = (", ".join(part) for part in (asked, [leaves[n] for n in asked]))
        if asked:
            names = names if len(asked) > 1 else f"({names},)"
            lines.append(f"{names} = torch.autograd.grad({y}, [{given}], {self.given(step.inputs[1])})")
        return lines

    def late_gradients(self, step: Step, y: str) -> Lines:
        """A training step under no_grad before torch.autograd.grad."""
        x, dy, other = (self.given(n) for n in step.inputs)
        leaves = ["leaf", *self.leaves()]
        names = "dx, dgamma, dbeta" if len(leaves) > 1 else "(dx,)"
        return [
            f"leaf = {x}.detach().requires_grad_()",
            f"{y} = {self.forward('leaf', step.call.mode == 'training')}",
            block("with torch.no_grad():", [self.forward(other, True)]),
            f"{names} = torch.autograd.grad({y}, [{', '.join(leaves)}], {dy})",
        ]

    def second_order(self, step: Step, y: str) -> Lines:
        """torch.autograd.grad of the dx that create_graph recorded."""
        x, dy, v = (self.given(n) for n in step.inputs)
        leaves = ["leaf", "cotangent", *self.leaves()[:1]]
        names, into = ", ".join(SECOND[: len(leaves)]), f"dx, [{', '.join(leaves)}], {v}"
        return [
            f"leaf = {x}.detach().requires_grad_()",
            f"cotangent = {dy}.detach().requires_grad_()",
            f"{y} = {self.forward('leaf', step.call.mode == 'training')}",
            f"(dx,) = torch.autograd.grad({y}, leaf, cotangent, create_graph=True)",
            f"{names} = torch.autograd.grad({into}, allow_unused=True, materialize_grads=True)",
        ]

    def third_order(self, step: Step, y: str) -> Lines:
        """torch.autograd.grad three times."""
        x, dy, v = (self.given(n) for n in step.inputs)
        return [
            f"leaf = {x}.detach().requires_grad_()",
            f"{y} = {self.forward('leaf', True)}",
            f"(dx,) = torch.autograd.grad({y}, leaf, {dy}, create_graph=True)",
            f"(by_x,) = torch.autograd.grad(dx, leaf, {v}, create_graph=True)",
            f"(third,) = torch.autograd.grad(by_x, leaf, {v})",
        ]

    def tangent_gradient(self, step: Step, y: str) -> Lines:
        """torch.autograd.grad of the tangent of a dual tensor."""
        x, dy, v = (self.given(n) for n in step.inputs)
        dual = self.forward(f"forward_ad.make_dual(leaf, {v})", True)
        lines = [f"along = forward_ad.unpack_dual({dual}).tangent", f"(by_x,) = torch.autograd.grad(along, leaf, {dy})"]
        return [
            "forward_ad = torch.autograd.forward_ad",
            f"leaf = {x}.detach().requires_grad_()",
            block("with forward_ad.dual_level():", lines),
        ]

    def tangent(self, step: Step, y: str) -> Lines:
        """Forward mode, by a dual tensor."""
        x, v = (self.given(n) for n in step.inputs)
        dual = self.forward(f"forward_ad.make_dual({x}, {v})", step.call.mode == "training")
        return [
            "forward_ad = torch.autograd.forward_ad",
            block("with torch.no_grad(), forward_ad.dual_level():", [f"{y}, along = forward_ad.unpack_dual({dual})"]),
        ]

    def use_threads(self, count: int) -> Lines:
        """torch.set_num_threads."""
        return [f"torch.set_num_threads({count})"]

    def element(self, expression: str, index: str) -> str:
        """``y[0, 0].item()``."""
        return f"{expression}[{index}].item()"

    def host(self, expression: str) -> str:
        """A view of the tensor's memory, where it is on the CPU; bfloat16 as its bits."""
        place = "" if self.device == "cpu" else ".cpu()"
        bits = ".view(torch.int16)" if self.config.dtype == "bfloat16" else ""
        return f"{expression}.detach(){place}{bits}.numpy()"

    def wide(self, expression: str) -> str:
        """``y.detach().double().numpy()``."""
        place = "" if self.device == "cpu" else ".cpu()"
        return f"{expression}.detach(){place}.double().numpy()"

    def dtype(self, expression: str) -> str:
        """What stands after "torch." in its name."""
        return f"str({expression}.dtype)[6:]"


class ModuleWriter(TorchWriter):
    """``torch.nn.BatchNorm*d`` in train() and eval()."""

    makes_initial = True
    last_constructed = ""

    def momentum(self) -> str:
        """The module's momentum."""
        return repr(1.0 - self.config.decay)

    def constructed(self) -> str:
        """The module as constructed."""
        config = self.config
        arguments = [str(config.channels), f"eps={config.epsilon!r}", f"momentum={self.momentum()}"]
        if not config.affine:
            arguments.append("affine=False")
        if self.device != "cpu":
            arguments.append(f'device="{self.device}"')
        dtype = self.torch_dtype(config.parameter_dtype)
        return f"layer = torch.nn.{MODULES[config.rank]}({', '.join(arguments)}{dtype})"

    def build(self) -> Lines:
        """The module, with parameters and buffers put in."""
        lines, last = [self.constructed()], self.last_constructed
        self.last_constructed = lines[0]
        if self.initial:
            return lines
        if self.compact and last == lines[0] and not any(s.call.between for s in self.given_case.steps):
            return self.put_in(PARAMETERS if self.config.affine else PARAMETERS[2:])
        names = [] if default_parameters(self.case) else ["gamma", "beta"]
        if not default_state(self.case) or shares_state(self.case):
            names += ["running_mean", "running_var"]
        return [*lines, *self.put_in(names)]

    def restart(self) -> Lines:
        """The buffers."""
        return self.put_in(["running_mean", "running_var"])

    def put_in(self, names: Sequence[str]) -> Lines:
        """Parameters and buffers by load_state_dict, which copies; views, other shapes, and shared memory as they are."""
        if not names:
            return []
        given = [self.case.arrays[n] for n in names]
        usual = all(a.flags.c_contiguous and a.shape == (self.case.config.channels,) for a in given)
        if usual and not shares_state(self.case):
            values = ", ".join(f'"{self.variable(n)[6:]}": {self.array(n)}' for n in names)
            return [f"layer.load_state_dict({{{values}}}, strict=False)"]
        other = {"running_mean": "beta", "running_var": "gamma"}
        lines = []
        for name in names:
            value = self.array(name)
            if name not in other:
                value = f"torch.nn.Parameter({value})"
            elif shares_memory(self.case, name, other[name]):
                value = f"{self.variable(other[name])}.detach()"
            lines.append(f"{self.variable(name)} = {value}")
        return lines

    def forward(self, x: str, training: bool) -> str:
        """The module's call."""
        return f"layer.{'train' if training else 'eval'}()({x})"

    def between(self, step: Step) -> Lines:
        """A saved and loaded state_dict, deep copies, and what modules offer."""
        match step.call.kind:
            case "save_restore":
                self.extra.append("io")
                return [
                    "file = io.BytesIO()",
                    "torch.save(layer.state_dict(), file)",
                    self.constructed(),
                    "layer.load_state_dict(torch.load(io.BytesIO(file.getvalue())))",
                ]
            case "clone":
                self.extra.append("copy")
                return ["layer, other = copy.deepcopy(layer), layer"]
            case "swap":
                return ["layer, other = other, layer"]
            case "reset":
                return ["layer.reset_running_stats()"]
            case "set_decay":
                return [f"layer.momentum = {1.0 - float(step.option('decay'))!r}", *self.with_decay(step)]
        self.frozen = step.call.kind == "freeze"
        return [f"layer.requires_grad_({not self.frozen})"]

    def variable(self, name: str) -> str:
        """Parameters and buffers are the module's."""
        return {
            "gamma": "layer.weight",
            "beta": "layer.bias",
            "running_mean": "layer.running_mean",
            "running_var": "layer.running_var",
        }.get(name, name)


class FunctionWriter(TorchWriter):
    """``torch.nn.functional.batch_norm``, which updates the running statistics in place."""

    def build(self) -> Lines:
        """The function's arguments."""
        lines = [*self.restart()]
        for name, state in (("gamma", "running_var"), ("beta", "running_mean")) if self.config.affine else ():
            shared = shares_memory(self.case, state, name)
            value = f"{self.variable(state)}.detach()" if shared else self.array(name)
            lines.append(f"{self.variable(name)} = {value}.requires_grad_()")
        return lines

    def restart(self) -> Lines:
        """The running statistics."""
        return self.state_list()

    def forward(self, x: str, training: bool) -> str:
        """The function's call."""
        weights = "weight, bias" if self.config.affine else "None, None"
        numbers = f"momentum={1.0 - self.config.decay!r}, eps={self.config.epsilon!r}"
        return f"torch.nn.functional.batch_norm({x}, *state, {weights}, training={training}, {numbers})"

    def between(self, step: Step) -> Lines:
        """Another momentum for the calls to come. Raises NoScript: anything else, which a function does not have."""
        return self.with_decay(step) if step.call.kind == "set_decay" else super().between(step)

    def variable(self, name: str) -> str:
        """The names that ``build`` gave."""
        return {"gamma": "weight", "beta": "bias", "running_mean": "state[0]", "running_var": "state[1]"}.get(
            name, name
        )


class NativeWriter(FunctionWriter):
    """``torch.native_batch_norm``."""

    def forward(self, x: str, training: bool) -> str:
        """The operator's first result."""
        weights = "weight, bias" if self.config.affine else "None, None"
        numbers = f"{training}, {1.0 - self.config.decay!r}, {self.config.epsilon!r}"
        return f"torch.native_batch_norm({x}, {weights}, *state, {numbers})[0]"


class NativeOutWriter(FunctionWriter):
    """The same with ``out=``."""

    def build(self) -> Lines:
        """The operator's arguments, and the memory formats of y."""
        last = "channels_last" if self.config.rank == 4 else "channels_last_3d"
        return [*super().build(), f"formats = [torch.contiguous_format, torch.{last}]"]

    def forward(self, x: str, training: bool) -> str:
        """The operator's first result, in a tensor of another memory format than x's."""
        weights = "weight, bias" if self.config.affine else "None, None"
        numbers = f"{training}, {1.0 - self.config.decay!r}, {self.config.epsilon!r}"
        y = f"{x}.clone(memory_format=formats[{x}.is_contiguous()])"
        saved = f"state[0].new_zeros({self.config.channels if training else 0})"
        return f"torch.native_batch_norm({x}, {weights}, *state, {numbers}, out=({y}, {saved}, {saved}))[0]"


class MkldnnWriter(FunctionWriter):
    """The function of tensors in oneDNN's layout."""

    def forward(self, x: str, training: bool) -> str:
        """The function's call."""
        return f"{super().forward(f'{x}.to_mkldnn()', training)}.to_dense()"


def shares_memory(case: Case, state: str, parameter: str) -> bool:
    """Whether a running statistic and a parameter of the case are the same memory."""
    return parameter in case.arrays and overlap(case.arrays[state], case.arrays[parameter])
