"""Scripts with ``tinygrad.nn.BatchNorm`` on tinygrad's CPU device."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.module_names import ModuleNamesWriter
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.model.case import Step


class TinygradWriter(ModuleNamesWriter):
    """The class, which holds its own state."""

    packages = ("tinygrad",)
    imports = ("from tinygrad import Context, Tensor, dtypes, nn",)
    environment = "DEV=CPU"

    def tensor(self, value: Literal) -> str:
        """``Tensor([...], dtype=dtypes.float32)``; packed, as it reaches tinygrad."""
        if not (value.permuted or value.flipped or value.strided):
            if value.kind == "list":
                return f"Tensor({value.text}, dtype=dtypes.{value.dtype})"
            if value.kind == "full":
                return f"Tensor.full({value.shape}, {value.text}, dtype=dtypes.{value.dtype})"
        if value.dtype == "bfloat16":
            raise NoScript("NumPy has no bfloat16 of which tinygrad makes a tensor")
        dtype = f'"{value.dtype}"'
        return f"Tensor(np.ascontiguousarray({numpy_expression(value, dtype)}))"

    def build(self) -> Lines:
        """The class with these tensors. Raises NoScript: a scaler is asked for."""
        config = self.config
        if self.case.subject == "input_norm":
            raise NoScript("tinygrad has no input normalization")
        made = f"nn.BatchNorm({config.channels}, {config.epsilon!r}, {config.affine}, momentum={1.0 - config.decay!r})"
        given = ["layer.weight, layer.bias = " + self.pair("gamma", "beta")] if config.affine else []
        return [f"layer = {made}", *given, *self.restart()]

    def restart(self) -> Lines:
        """The statistics."""
        return ["layer.running_mean, layer.running_var = " + self.pair("running_mean", "running_var")]

    def pair(self, *names: str) -> str:
        """Arrays of the case as a tuple."""
        return ", ".join(self.array(name) for name in names)

    def weights(self) -> list[str]:
        """weight and bias; empty without affine."""
        return ["layer.weight", "layer.bias"] if self.config.affine else []

    def called(self, step: Step, lines: Sequence[str]) -> Lines:
        """Lines with TRAINING set as the step's mode asks."""
        return [block(f"with Context(TRAINING={int(step.call.mode == 'training')}):", lines)]

    def computed(self, *names: str) -> str:
        """The line that computes these and the statistics."""
        return f"Tensor.realize({', '.join([*names, 'layer.running_mean', 'layer.running_var'])})"

    def cotangent(self, dy: str, y: str) -> str:
        """dy in y's dtype."""
        mixed = self.config.dtype != self.config.parameter_dtype
        return f"{dy}.cast({y}.dtype)" if mixed else dy

    def call(self, step: Step, y: str) -> Lines:
        """A call, and its gradients."""
        x, *dy = (self.given(n) for n in step.inputs)
        if not dy or (self.compact and not self.wants_gradient()):
            return self.called(step, [f"{y} = layer({x})", self.computed(y)])
        return self.called(step, [f"{y} = layer({x})", *self.backward(y, x, dy[0])])

    def backward(self, y: str, x: str, dy: str) -> list[str]:
        """Lines of the gradients of y."""
        sources = [x, *self.weights()]
        names = ["dx", "dgamma", "dbeta"][: len(sources)]
        into = ", ".join(names) if len(names) > 1 else "(dx,)"
        gradient = f"{into} = {y}.gradient({', '.join(sources)}, gradient={self.cotangent(dy, y)})"
        return [gradient, self.computed(y, *names)]

    def late_gradients(self, step: Step, y: str) -> Lines:
        """A training step between a call and its gradients."""
        x, dy, other = (self.given(n) for n in step.inputs)
        return [
            *self.called(step, [f"{y} = layer({x})"]),
            block("with Context(TRAINING=1):", [self.computed(f"layer({other})")]),
            *self.backward(y, x, dy),
        ]

    def second_order(self, step: Step, y: str) -> Lines:
        """The gradients of dx."""
        x, dy, v = (self.given(n) for n in step.inputs)
        sources = [x, dy, *self.weights()[:1]]
        names = ", ".join(["by_x", "by_dy", "by_gamma"][: len(sources)])
        body = [
            f"{y} = layer({x})",
            f"(dx,) = {y}.gradient({x}, gradient={self.cotangent(dy, y)})",
            f"{names} = dx.gradient({', '.join(sources)}, gradient={self.cotangent(v, 'dx')})",
            self.computed(*names.split(", ")),
        ]
        return self.called(step, body)

    def host(self, expression: str) -> str:
        """A result as a NumPy array."""
        return f"{expression}.numpy()"

    def wide(self, expression: str) -> str:
        """A result as a NumPy array of float64."""
        return f'{expression}.numpy().astype("float64")'
