"""Scripts in TensorFlow: ``tf.nn.moments`` with ``tf.nn.batch_normalization``, and ``tf.compat.v1.nn.fused_batch_norm``."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from bnspec.case import Step
from bnspec.conformance.repro.literals import Literal, NoScript, numpy_expression
from bnspec.conformance.repro.writer import Writer, python_name

FORMATS = {4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}


class TensorflowWriter(Writer):
    """What scripts on TensorFlow have in common: tensors, the tape, results."""

    packages: tuple[str, ...] = ("tensorflow",)
    imports: tuple[str, ...] = ("import tensorflow as tf",)
    environment = "CUDA_VISIBLE_DEVICES="

    def tensor(self, value: Literal) -> str:
        """``tf.constant([...], "float32")``; a view by NumPy, as it reaches TensorFlow."""
        if not (value.permuted or value.flipped or value.strided):
            match value.kind:
                case "list":
                    return f'tf.constant({value.text}, "{value.dtype}")'
                case "full":
                    return f'tf.constant({value.text}, "{value.dtype}", {value.shape})'
                case "empty":
                    return f'tf.zeros({value.shape}, "{value.dtype}")'
        dtype = "tf.bfloat16.as_numpy_dtype" if value.dtype == "bfloat16" else f'"{value.dtype}"'
        return f"tf.constant({numpy_expression(value, dtype)})"

    @abc.abstractmethod
    def forward(self, x: str, y: str, training: bool) -> list[str]:
        """Lines that make y of x."""

    def leaves(self) -> Sequence[str]:
        """The parameters that gradients are asked for."""
        return ["gamma", "beta"] if self.config.affine else []

    def given(self, name: str) -> str:
        """An input as it is named in the script."""
        return name if self.is_part(name) else python_name(name)

    def call(self, step: Step, y: str) -> list[str]:
        """Eager; gradients by a tape that watches x."""
        training, x = step.call.startswith("training"), self.given(step.inputs[0])
        if not step.call.endswith("_gradients"):
            return self.forward(x, y, training)
        leaves = self.leaves()
        names = ["dx", "dgamma", "dbeta"][: 1 + len(leaves)]
        watched = ", ".join([x, *leaves])
        into = ", ".join(names) if leaves else "(dx,)"
        return [
            "with tf.GradientTape() as tape:",
            f"    tape.watch([{watched}])",
            *("    " + line for line in self.forward(x, y, training)),
            f"{into} = tape.gradient({y}, [{watched}], output_gradients={self.given(step.inputs[1])})",
        ]

    def parameters(self) -> list[str]:
        """Lines that name gamma and beta."""
        if not self.config.affine:
            return []
        return [f"gamma, beta = {self.array('gamma')}, {self.array('beta')}"]

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return name


class MomentsWriter(TensorflowWriter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization``; the moving average is the user's own line."""

    def build(self) -> list[str]:
        """Parameters and running statistics, as tensors. Raises NoScript: input normalization is not TensorFlow's."""
        if self.case.subject == "input_norm":
            raise NoScript("tf.nn has no input normalization: fitting and merging chunks is the adapter's own code")
        return self.parameters() + (self.restart() if self.reads_state() else [])

    def reads_state(self) -> bool:
        """Whether a line needs the running statistics."""
        modes = {s.call.partition("_")[0] for s in self.case.steps}
        return "inference" in modes or self.wanted.startswith(("running_", "state"))

    def restart(self) -> list[str]:
        """The running statistics."""
        if not self.reads_state():
            return []
        return [f"running_mean, running_var = {self.array('running_mean')}, {self.array('running_var')}"]

    def shaped(self, name: str) -> str:
        """A (C,) tensor, shaped to broadcast against x."""
        shape = self.config.channel_shape
        return name if shape[-1] == self.config.channels and shape[:-1] == (1,) else f"tf.reshape({name}, {shape})"

    def forward(self, x: str, y: str, training: bool) -> list[str]:
        """Moments, moving averages where they are read, and the normalisation."""
        weights = [self.shaped(n) for n in ("beta", "gamma")] if self.config.affine else ["None", "None"]
        last = f"{', '.join(weights)}, {self.config.epsilon!r})"
        if not training:
            mean, var = self.shaped("running_mean"), self.shaped("running_var")
            return [f"{y} = tf.nn.batch_normalization({x}, {mean}, {var}, {last}"]
        lines = [f"mean, var = tf.nn.moments({x}, {list(self.config.reduce_axes)}, keepdims=True)"]
        if self.reads_state():
            decay = self.config.decay
            lines += [
                f"{old} = {old} * {decay!r} + tf.reshape({new}, [-1]) * {1.0 - decay!r}"
                for old, new in (("running_mean", "mean"), ("running_var", "var"))
            ]
        return [*lines, f"{y} = tf.nn.batch_normalization({x}, mean, var, {last}"]


class FusedWriter(TensorflowWriter):
    """``tf.compat.v1.nn.fused_batch_norm``: one operation for the whole layer."""

    def build(self) -> list[str]:
        """scale, offset and the running statistics."""
        return self.parameters() + self.restart()

    def restart(self) -> list[str]:
        """The running statistics."""
        return [f"mean, var = {self.array('running_mean')}, {self.array('running_var')}"]

    def forward(self, x: str, y: str, training: bool) -> list[str]:
        """The operation; in training its second and third results are the new running statistics."""
        config, factor = self.config, 1.0 - self.config.decay
        options = f'epsilon={config.epsilon!r}, data_format="{FORMATS[config.rank][config.channel_axis != 1]}"'
        function = "tf.compat.v1.nn.fused_batch_norm"
        if not training:
            return [f"{y}, _, _ = {function}({x}, gamma, beta, mean, var, {options}, is_training=False)"]
        state = "None, None" if factor == 1.0 else "mean, var"  # at 1.0 they "must be None", says the documentation
        options += f", exponential_avg_factor={factor!r}"
        return [f"{y}, mean, var = {function}({x}, gamma, beta, {state}, {options})"]

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {"running_mean": "mean", "running_var": "var"}.get(name, name)
