"""Scripts in TensorFlow: ``tf.nn.moments`` with ``tf.nn.batch_normalization``, and ``tf.compat.v1.nn.fused_batch_norm``."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step

FORMATS = {4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}


#: How many of a call's inputs are differentiated by.
SOURCES = {"gradients": 1, "masked_gradients": 1, "second_order": 2, "third_order": 1, "tangent_gradient": 1}


class TensorflowWriter(Writer):
    """What scripts on TensorFlow have in common: tensors, the tape, results."""

    packages: tuple[str, ...] = ("tensorflow",)
    imports: tuple[str, ...] = ("import tensorflow as tf",)
    environment = "CUDA_VISIBLE_DEVICES="
    differentiated: tuple[str, ...] = ("gamma", "beta")  # parameters that are tensors of the script

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

    def array(self, name: str) -> str:
        """Where a script has to be short, what is differentiated by is a variable, which a tape watches by itself."""
        array, sources = super().array(name), set()
        for step in self.given_case.steps:
            if step.call.kind in SOURCES:
                sources |= {*self.differentiated, *step.inputs[: SOURCES[step.call.kind]]}
        return f"tf.Variable({array})" if self.compact and name in sources and not name.endswith("]") else array

    @abc.abstractmethod
    def forward(self, x: str, y: str, training: bool) -> Lines:
        """Lines that make y of x."""

    def leaves(self) -> Sequence[str]:
        """The parameters that gradients are asked for."""
        return ["gamma", "beta"] if self.config.affine else []

    def call(self, step: Step, y: str) -> Lines:
        """Eager; gradients by a tape that watches x."""
        forward = self.forward(self.given(step.inputs[0]), y, step.call.mode == "training")
        passes_back = step.call.has_gradients and not (self.compact and not self.wants_gradient())
        return self.taped(step, y, forward) if passes_back else forward

    def taped(self, step: Step, y: str, forward: Lines) -> Lines:
        """A forward pass under a tape that watches x and the parameters, and its gradients from dy."""
        leaves = [self.given(step.inputs[0]), *self.leaves()]
        names = ["dx", "dgamma", "dbeta"][: len(leaves)]
        watched = ", ".join(leaves)
        watch = [] if self.compact else [f"tape.watch([{watched}])"]
        into = ", ".join(names) if len(names) > 1 else "(dx,)"
        return [
            block("with tf.GradientTape() as tape:", [*watch, *forward]),
            f"{into} = tape.gradient({y}, [{watched}], output_gradients={self.given(step.inputs[1])})",
        ]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """A tape that watches the wanted sources only."""
        x, dy = (self.given(n) for n in step.inputs)
        sources = [(n, leaf) for n, leaf in zip(("dx", "dgamma", "dbeta"), (x, *self.leaves())) if n in wanted]
        watched = ", ".join(leaf for _, leaf in sources)
        return [
            block(
                "with tf.GradientTape(watch_accessed_variables=False) as tape:",
                [f"tape.watch([{watched}])", *self.forward(x, y, step.call.mode == "training")],
            ),
            f"({', '.join(n for n, _ in sources)},) = tape.gradient({y}, [{watched}], output_gradients={dy})",
        ]

    def second_order(self, step: Step, y: str) -> Lines:
        """A tape around a tape."""
        x, dy, v = (self.given(n) for n in step.inputs)
        sources = [x, dy, *self.leaves()[:1]]
        watch = (
            [] if self.compact else [f"outer.watch([{', '.join(sources)}])"],
            [] if self.compact else [f"inner.watch({x})"],
        )
        names, watched = ", ".join(("by_x", "by_dy", "by_gamma")[: len(sources)]), ", ".join(sources)
        return [
            block(
                "with tf.GradientTape() as outer:",
                [
                    *watch[0],
                    block(
                        "with tf.GradientTape() as inner:",
                        [*watch[1], *self.forward(x, y, step.call.mode == "training")],
                    ),
                    f"dx = inner.gradient({y}, {x}, output_gradients={dy})",
                ],
            ),
            f'{names} = outer.gradient(dx, [{watched}], output_gradients={v}, unconnected_gradients="zero")',
        ]

    def third_order(self, step: Step, y: str) -> Lines:
        """A tape around a tape around a tape."""
        x, dy, v = (self.given(n) for n in step.inputs)
        watch = {n: [] if self.compact else [f"{n}.watch({x})"] for n in ("first", "second", "third_tape")}
        first = block("with tf.GradientTape() as first:", [*watch["first"], *self.forward(x, y, training=True)])
        dx = f"dx = first.gradient({y}, {x}, output_gradients={dy})"
        second = block("with tf.GradientTape() as second:", [*watch["second"], first, dx])
        by_x = f"by_x = second.gradient(dx, {x}, output_gradients={v})"
        return [
            block("with tf.GradientTape() as third_tape:", [*watch["third_tape"], second, by_x]),
            f"third = third_tape.gradient(by_x, {x}, output_gradients={v})",
        ]

    def tangent_gradient(self, step: Step, y: str) -> Lines:
        """A tape around a forward accumulator."""
        x, dy, v = (self.given(n) for n in step.inputs)
        lines = [*self.forward(x, y, training=True), f"along = accumulator.jvp({y})"]
        along = block(f"with tf.autodiff.ForwardAccumulator({x}, {v}) as accumulator:", lines)
        watch = [] if self.compact else [f"tape.watch({x})"]
        return [
            block("with tf.GradientTape() as tape:", [*watch, along]),
            f"by_x = tape.gradient(along, {x}, output_gradients={dy})",
        ]

    def tangent(self, step: Step, y: str) -> Lines:
        """A forward accumulator."""
        x, v = (self.given(n) for n in step.inputs)
        return [
            block(
                f"with tf.autodiff.ForwardAccumulator({x}, {v}) as accumulator:",
                [*self.forward(x, y, step.call.mode == "training"), f"along = accumulator.jvp({y})"],
            ),
        ]

    def parameters(self) -> Lines:
        """Lines that name gamma and beta."""
        return [f"{n} = {self.array(n)}" for n in ("gamma", "beta")] if self.config.affine else []

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return name


class MomentsWriter(TensorflowWriter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization``; the moving average is the user's own line."""

    def build(self) -> Lines:
        """Parameters and running statistics, as tensors. Raises NoScript: input normalization is not TensorFlow's."""
        if self.case.subject == "input_norm":
            raise NoScript("tf.nn has no input normalization: fitting and merging chunks is the adapter's own code")
        return [*([] if self.only_moves() else self.parameters()), *self.restart()]

    def only_moves(self) -> bool:
        """Whether the script is short and reads nothing but the statistics that training passes leave."""
        return self.compact and self.wanted.startswith("running_") and self.modes() == {"training"}

    def restart(self) -> Lines:
        """The running statistics, where they are read."""
        return self.state_list() if self.reads_state() else []

    def shaped(self, name: str) -> str:
        """A (C,) tensor, shaped to broadcast against x."""
        shape = self.config.channel_shape
        return name if shape[-1] == self.config.channels and shape[:-1] == (1,) else f"tf.reshape({name}, {shape})"

    def between(self, step: Step) -> Lines:
        """Copies of tensors, which never change, and another decay. Raises NoScript: what is not TensorFlow's here."""
        if step.call.kind == "save_restore":
            raise NoScript("a layer written by hand is saved by hand: the checkpoint is the adapter's own code")
        return self.kept_aside(step, ("state",) if self.reads_state() else ())

    def masked(self, step: Step, y: str) -> Lines:
        """``tf.nn.weighted_moments``, with the weights 1 and 0."""
        x, mask = self.given(step.inputs[0]), self.given(step.inputs[-1])
        axes = list(self.config.reduce_axes)
        moments = f"tf.nn.weighted_moments({x}, {axes}, tf.cast({mask}, {x}.dtype), keepdims=True)"
        forward = self.forward(x, y, True, moments)
        return self.taped(step, y, forward) if step.call.has_gradients else forward

    def moments(self, x: str) -> str:
        """The expression of x's mean and variance, that broadcast against it."""
        return f"tf.nn.moments({x}, {list(self.config.reduce_axes)}, keepdims=True)"

    def forward(self, x: str, y: str, training: bool, moments: str = "") -> Lines:
        """Moments, moving averages where they are read, and the normalisation."""
        weights = [self.shaped(n) for n in ("beta", "gamma")] if self.config.affine else ["None", "None"]
        last = f"{', '.join(weights)}, {self.config.epsilon!r})"
        if not training:
            mean, var = self.shaped("state[0]"), self.shaped("state[1]")
            return [f"{y} = tf.nn.batch_normalization({x}, {mean}, {var}, {last}"]
        moments = moments or self.moments(x)
        if self.compact and not self.reads_state():
            return [f"{y} = tf.nn.batch_normalization({x}, *{moments}, {last}"]
        lines, old = [f"mean, var = {moments}"], self.config.decay
        if self.reads_state():
            moved = f"old * {old!r} + tf.reshape(new, [-1]) * {1.0 - old!r}"
            lines.append(f"state = [{moved} for old, new in zip(state, (mean, var))]")
            if self.only_moves():
                return lines
        return [*lines, f"{y} = tf.nn.batch_normalization({x}, mean, var, {last}"]

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {"running_mean": "state[0]", "running_var": "state[1]"}.get(name, name)


class SufficientWriter(MomentsWriter):
    """``tf.nn.sufficient_statistics`` and ``tf.nn.normalize_moments``."""

    def moments(self, x: str) -> str:
        """From sums and sums of squares."""
        sums = f"tf.nn.sufficient_statistics({x}, {list(self.config.reduce_axes)}, keepdims=True)"
        return f"tf.nn.normalize_moments(*{sums})"


class FusedWriter(TensorflowWriter):
    """``tf.compat.v1.nn.fused_batch_norm``: one operation for the whole layer."""

    def build(self) -> Lines:
        """scale, offset and the running statistics."""
        return [*self.parameters(), *self.restart()]

    def restart(self) -> Lines:
        """The running statistics."""
        return [f"mean = {self.array('running_mean')}", f"var = {self.array('running_var')}"]

    def forward(self, x: str, y: str, training: bool) -> Lines:
        """The operation; in training its second and third results are the new running statistics."""
        config, factor = self.config, 1.0 - self.config.decay
        options = f'epsilon={config.epsilon!r}, data_format="{FORMATS[config.rank][config.channel_axis != 1]}"'
        function = "tf.compat.v1.nn.fused_batch_norm"
        if not training:
            return [f"{y}, _, _ = {function}({x}, gamma, beta, mean, var, {options}, is_training=False)"]
        state = "None, None" if factor == 1.0 else "mean, var"  # at 1.0 they "must be None", says the documentation
        options += f", exponential_avg_factor={factor!r}"
        return [f"{y}, mean, var = {function}({x}, gamma, beta, {state}, {options})"]

    def between(self, step: Step) -> Lines:
        """Copies of tensors, which never change, and another decay. Raises NoScript: what is not TensorFlow's here."""
        if step.call.kind == "save_restore":
            raise NoScript("a function's tensors are saved by hand: the checkpoint is the adapter's own code")
        return self.kept_aside(step, ("mean", "var"))

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {"running_mean": "mean", "running_var": "var"}.get(name, name)
