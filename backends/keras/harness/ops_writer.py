"""Scripts of the layer written with ``keras.ops.moments`` and ``keras.ops.batch_normalization``."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, Statement, block
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.jax.harness.numpy_writer import JaxNumpyWriter
from bnspec.backends.keras.harness.other_backends_writer import KerasJaxWriter, KerasTorchWriter
from bnspec.backends.keras.harness.writer import KerasWriter
from bnspec.backends.tensorflow.harness.writer import TensorflowWriter
from bnspec.backends.torch.harness.writer import TorchWriter
from bnspec.model.case import Step


class OpsWriter(Writer):
    """The two functions, and the moving average that their user writes, in a forward pass."""

    one_value_over_none = True

    def build(self) -> Lines:
        """The arrays. Raises NoScript: a scaler is asked for."""
        if self.case.subject == "input_norm":
            raise NoScript("no lines are written here for input normalization: that is the layer's")
        names = ("gamma", "beta") if self.config.affine else ()
        return [*(f"{n} = {self.array(n)}" for n in names), *self.restart()]

    def restart(self) -> Lines:
        """The running statistics, where they are read."""
        if not self.depends_on_state():
            return []
        return self.state_list()

    def normalised(self, x: str, by: str) -> str:
        """The expression of y."""
        options = f"axis={self.config.channel_axis}, epsilon={self.config.epsilon!r}"
        weights = ", offset=beta, scale=gamma" if self.config.affine else ""
        return f"keras.ops.batch_normalization({x}, {by}, {options}{weights})"

    def moments(self, x: str) -> str:
        """The expression of the moments; those of one value per channel are over no axes."""
        config = self.config
        if self.one_value_over_none and all(a.size == config.channels for n, a in self.case.arrays.items() if n == "x"):
            return f"keras.ops.moments(keras.ops.reshape({x}, ({config.channels},)), [])"
        return f"keras.ops.moments({x}, {list(config.reduce_axes)})"

    def passed(self, x: str, y: str, training: bool) -> Lines:
        """Lines of a forward pass."""
        moments = self.moments(x)
        if not training:
            return [f"{y} = {self.normalised(x, '*state')}"]
        if not self.depends_on_state():
            return [f"{y} = {self.normalised(x, f'*{moments}')}"]
        decay = self.config.decay
        moved = f"{decay!r} * old + {1.0 - decay!r} * new"
        return [
            f"batch = {moments}",
            f"{y} = {self.normalised(x, '*batch')}",
            f"state = [{moved} for old, new in zip(state, batch)]",
        ]

    def call(self, step: Step, y: str) -> Lines:
        """A forward pass. Raises NoScript: gradients."""
        if step.call.has_gradients:
            raise NoScript("no lines are written here for gradients: the backend has none")
        return self.passed(self.given(step.inputs[0]), y, step.call.mode == "training")

    def between(self, step: Step) -> Lines:
        """Copies of arrays, which never change, and another decay."""
        return self.kept_aside(step, ("state",) if self.depends_on_state() else ())

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {"running_mean": "state[0]", "running_var": "state[1]"}.get(name, name)


class KerasOpsWriter(OpsWriter, TensorflowWriter):
    """On TensorFlow, eager."""

    one_value_over_none = False

    packages = KerasWriter.packages
    imports = KerasWriter.imports
    environment = KerasWriter.environment

    def forward(self, x: str, y: str, training: bool) -> Lines:
        """The forward pass."""
        return self.passed(x, y, training)

    def call(self, step: Step, y: str) -> Lines:
        """Eager; gradients by a tape."""
        return TensorflowWriter.call(self, step, y)


class KerasOpsTorchWriter(OpsWriter, TorchWriter):
    """On PyTorch, eager."""

    packages = KerasTorchWriter.packages
    imports = KerasTorchWriter.imports
    environment = KerasTorchWriter.environment

    def devices(self) -> tuple[str, ...]:
        """The environment names the device: written for the CPU."""
        return ("cpu",)

    def forward(self, x: str, training: bool) -> str:
        """The expression of y, where the statistics are not read."""
        if not training:
            return self.normalised(x, "*state")
        return self.normalised(x, f"*{self.moments(x)}")

    def call(self, step: Step, y: str) -> Lines:
        """Eager; gradients by torch.autograd.grad. Raises NoScript: statistics beside gradients."""
        moves = step.call.mode == "training" and self.depends_on_state()
        if not step.call.has_gradients or (self.compact and not self.wants_gradient()):
            return self.passed(self.given(step.inputs[0]), y, step.call.mode == "training")
        if moves:
            raise NoScript("no lines are written here for the statistics beside gradients")
        return TorchWriter.call(self, step, y)

    def leaves(self) -> list[str]:
        """gamma and beta."""
        return ["gamma", "beta"] if self.config.affine else []

    def array(self, name: str) -> str:
        """Parameters require a gradient."""
        leaf = name in ("gamma", "beta") and any(s.call.has_gradients for s in self.given_case.steps)
        return super().array(name) + (".requires_grad_()" if leaf else "")


class KerasOpsJaxWriter(JaxNumpyWriter):
    """On JAX, under jax.jit."""

    packages = KerasJaxWriter.packages
    imports = KerasJaxWriter.imports
    environment = KerasJaxWriter.environment

    def forward(self) -> Statement:
        """The function of the forward pass."""
        options = f"axis={self.config.channel_axis}, epsilon=epsilon"
        weights = ", offset=beta, scale=gamma" if self.config.affine else ""
        y = f"keras.ops.batch_normalization(x, {{}}, {options}{weights})"
        header = f"def forward({self.given_all(['x'])}):"
        if not self.training:
            return block(header, [f"return {y.format('running_mean, running_var')}"])
        moments = f"keras.ops.moments(x, {list(self.config.reduce_axes)})"
        if not self.moves:
            return block(header, [f"return {y.format(f'*{moments}')}"])
        moved = ", ".join(
            f"decay * {old} + (1.0 - decay) * {new}" for old, new in (("running_mean", "mean"), ("running_var", "var"))
        )
        return block(header, [f"mean, var = {moments}", f"return {y.format('mean, var')}, [{moved}]"])
