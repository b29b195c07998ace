"""Scripts with ``mlx.nn.BatchNorm``, eager, on MLX's CPU device."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.module_names import ModuleNamesWriter
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.model.case import Step

#: The running statistics, by the module's names.
STATISTICS = {name: name for name in ("running_mean", "running_var")}


class MlxWriter(ModuleNamesWriter):
    """The module, which holds its own state."""

    packages = ("mlx",)
    called = "layer"
    imports: tuple[str, ...] = ("import mlx.core as mx", "import mlx.nn as nn")

    def preamble(self) -> Lines:
        """The device."""
        return ["mx.set_default_device(mx.cpu)"]

    def tensor(self, value: Literal) -> str:
        """``mx.array([...], mx.float32)``; packed, as it reaches MLX."""
        own = value.dtype.replace("bool", "bool_")
        if not (value.permuted or value.flipped or value.strided) and value.kind in ("list", "full"):
            text = value.text if value.kind == "list" else f"np.full({value.shape}, {value.text}).tolist()"
            return f"mx.array({text}, mx.{own})"
        if value.dtype == "bfloat16":
            raise NoScript("NumPy has no bfloat16 of which MLX makes an array")
        dtype = f'"{value.dtype}"'
        return f"mx.array(np.ascontiguousarray({numpy_expression(value, dtype)}), mx.{own})"

    def build(self) -> Lines:
        """The module with these arrays. Raises NoScript: a scaler is asked for."""
        config = self.config
        if self.case.subject == "input_norm":
            raise NoScript("MLX has no input normalization")
        made = f"nn.BatchNorm({config.channels}, {config.epsilon!r}, {1.0 - config.decay!r}, {config.affine})"
        given = {"weight": "gamma", "bias": "beta"} if config.affine else {}
        return [f"layer = {made}", self.updated({**given, **STATISTICS})]

    def restart(self) -> Lines:
        """The module's statistics."""
        return [self.updated(STATISTICS)]

    def updated(self, names: Mapping[str, str]) -> str:
        """The line that gives the module's arrays the values of the case's, by their names there."""
        arrays = ", ".join(f'"{own}": {self.array(name)}' for own, name in names.items())
        return f"layer.update({{{arrays}}})"

    def call(self, step: Step, y: str) -> Lines:
        """A call in train() or eval(), or its vector-Jacobian product."""
        x, *dy = (self.given(n) for n in step.inputs)
        is_new = self.compact and self.modes() == {"training"}  # in train() already
        mode = [] if is_new else [f"layer.train({step.call.mode == 'training'})"]
        if not dy or (self.compact and not self.wants_gradient()):
            return [*mode, f"{y} = {self.called}({x})"]
        weights = ["layer.weight", "layer.bias"] if self.config.affine else []
        names = ["dx", "dgamma", "dbeta"][: 1 + len(weights)]
        if not weights:
            return [*mode, f"({y},), (dx,) = mx.vjp({self.called}, [{x}], [{dy[0]}])"]
        forward = block("def forward(x, *weights):", ["layer.weight, layer.bias = weights", f"return {self.called}(x)"])
        return [
            *mode,
            forward,
            f"({y},), ({', '.join(names)}) = mx.vjp(forward, [{x}, {', '.join(weights)}], [{dy[0]}])",
        ]

    def state_gradients(self, step: Step, y: str) -> Lines:
        """The vector-Jacobian product of y and of the new statistics, whose cotangents are 1."""
        x, dy = (self.given(n) for n in step.inputs)
        weights = ["layer.weight", "layer.bias"] if self.config.affine else []
        names = ["dx", "dgamma", "dbeta"][: 1 + len(weights)]
        own = ", ".join(f"layer.{name}" for name in STATISTICS)
        lines = [*(["layer.weight, layer.bias = weights"] if weights else []), f"return layer(x), {own}"]
        cotangents = ", ".join([dy, *(f"mx.ones_like(layer.{name})" for name in STATISTICS)])
        given = ", ".join([x, *weights])
        return [
            "layer.train(True)",
            block("def reading(x, *weights):", lines),
            f"({y}, {own}), ({', '.join(names)},) = mx.vjp(reading, [{given}], [{cotangents}])",
        ]

    def host(self, expression: str) -> str:
        """A result as a NumPy array."""
        return f"np.array({expression})"

    def wide(self, expression: str) -> str:
        """A result as a NumPy array of float64."""
        return f'np.array({expression}).astype("float64")'


class CheckpointWriter(MlxWriter):
    """The module under ``mlx.nn.utils.checkpoint``."""

    called = "nn.utils.checkpoint(layer)"

    def wants_gradient(self) -> bool:
        """Always: the backward pass is a second step."""
        return True


class UnfrozenWriter(MlxWriter):
    """The module in a model after ``freeze`` and ``unfreeze``, and a step of gradient descent after gradients in inference."""

    imports = (*MlxWriter.imports, "import mlx.optimizers as optimizers")

    def build(self) -> Lines:
        """The module with these arrays, and the model."""
        return [*super().build(), "model = nn.Sequential(layer).freeze().unfreeze()"]

    def call(self, step: Step, y: str) -> Lines:
        """A call; gradients in inference are those of what the model trains, and their step."""
        x, *dy = (self.given(n) for n in step.inputs)
        if not dy or step.call.mode == "training":
            return super().call(step, y)
        before = super().call(step, y) if self.wanted.startswith("d") else [f"{y} = layer.eval()({x})"]
        return [
            *before,
            "model.eval()",
            f"_, by = nn.value_and_grad(model, lambda x: (model(x) * {dy[0]}).sum())({x})",
            "optimizers.SGD(learning_rate=0.5).update(model, by)",
        ]

    def wants_gradient(self) -> bool:
        """Always: the step follows from it."""
        return True
