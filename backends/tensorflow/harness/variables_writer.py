"""Scripts in TensorFlow whose statistics are variables that a function assigns: recomputed, or saved and loaded."""

from __future__ import annotations

import abc

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, Statement, block
from bnspec.backends.tensorflow.harness.writer import MomentsWriter
from bnspec.model.case import Step

STATE = ("running_mean", "running_var")
TWICE = "no lines are written here for several models: each layer and each mode is one"


class VariablesWriter(MomentsWriter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` in a function of x, over variables.

    Attributes:
        statistics: the expression of both running statistics.
    """

    statistics = "state"

    def build(self) -> Lines:
        """Parameters and running statistics as variables; the functions are written where they are first called."""
        self.defined: set[Statement] = getattr(self, "defined", set())
        return super().build()

    def only_moves(self) -> bool:
        """Never: the function gives y, too."""
        return False

    def parameters(self) -> Lines:
        """gamma and beta, as variables."""
        return [f"{n} = tf.Variable({self.array(n)})" for n in ("gamma", "beta")] if self.config.affine else []

    def array(self, name: str) -> str:
        """The array as it is."""
        return super(MomentsWriter, self).array(name) if name not in ("gamma", "beta") else self.plain(name)

    def plain(self, name: str) -> str:
        """A parameter, of which ``parameters`` makes a variable."""
        text = super().array(name)
        return text[len("tf.Variable(") : -1] if text.startswith("tf.Variable(") else text

    def restart(self) -> Lines:
        """The running statistics, as variables."""
        names = ", ".join(f"tf.Variable({self.array(n)}, trainable=False)" for n in STATE)
        return [f"state = [{names}]"] if self.reads_state() else []

    def define(self, step: Step) -> Lines:
        """The function of the step's mode; nothing where it is defined already."""
        training = step.call.mode == "training"
        lines: list[Statement | str] = list(super().forward("x", "y", training))
        if training and self.reads_state():
            moved = f"old.assign(old * {self.config.decay!r} + tf.reshape(new, [-1]) * {1.0 - self.config.decay!r})"
            lines = [lines[0], block(f"for old, new in zip({self.statistics}, (mean, var)):", [moved]), lines[-1]]
        *before, last = lines
        given = [*before, "return " + str(last).removeprefix("y = ")]
        function = block(f"def {step.call.mode}(x):", given)
        new = [] if function in self.defined else [function]
        self.defined.add(function)
        return new

    @abc.abstractmethod
    def applied(self, mode: str) -> str:
        """The expression of what is called in the mode."""

    def forward(self, x: str, y: str, training: bool, moments: str = "") -> Lines:
        """The call."""
        return [f"{y} = {self.applied('training' if training else 'inference')}({x})"]

    def perform(self, step: Step, y: str) -> Lines:
        """The function of the step's mode, and the step. Raises NoScript: what the adapter declines."""
        if step.call.between or step.call.has_mask:
            raise NoScript(f"no lines are written here for {step.call}")
        return [*self.define(step), *super().perform(step, y)]


class RecomputedWriter(VariablesWriter):
    """The function under ``tf.recompute_grad``."""

    def applied(self, mode: str) -> str:
        """The function whose activations are not kept."""
        return f"tf.recompute_grad({mode})"


class SavedModelWriter(VariablesWriter):
    """The function in a ``tf.Module`` that is saved and loaded."""

    statistics = "module.held[-2:]"

    def build(self) -> Lines:
        """The module, and what it holds."""
        self.defined: set[Statement] = set()
        names = [*(("gamma", "beta") if self.config.affine else ()), *STATE]
        held = ", ".join(f"tf.Variable({self.array(n)})" for n in names)
        return ["module = tf.Module()", f"module.held = [{held}]"]

    def restart(self) -> Lines:
        """Raises NoScript."""
        raise NoScript(TWICE)

    def shaped(self, name: str) -> str:
        """A variable of the module, shaped to broadcast against x."""
        place = {"gamma": "0", "beta": "1", "state[0]": "-2", "state[1]": "-1"}[name]
        shape = self.config.channel_shape
        held = f"module.held[{place}]"
        return held if shape[-1] == self.config.channels and shape[:-1] == (1,) else f"tf.reshape({held}, {shape})"

    def define(self, step: Step) -> Lines:
        """The function, and the model that is loaded."""
        new = super().define(step)
        if not new:
            return []
        config = self.config
        shape = [config.channels if a == config.channel_axis else None for a in range(config.rank)]
        signature = f'input_signature=[tf.TensorSpec({shape}, "{config.dtype}")]'
        return [
            *new,
            f"module.call = tf.function({step.call.mode}, {signature})",
            'tf.saved_model.save(module, "model")',
            'loaded = tf.saved_model.load("model")',
        ]

    def applied(self, mode: str) -> str:
        """The loaded function."""
        return "loaded.call"

    def leaves(self) -> list[str]:
        """The loaded variables."""
        return ["loaded.held[0]", "loaded.held[1]"] if self.config.affine else []

    def begin(self, k: int) -> Lines:
        """Lines of the layer of step k. Raises NoScript: two layers, or both modes, which take a model each."""
        if k or len(self.modes()) > 1:
            raise NoScript(TWICE)
        return super().begin(k)

    def variable(self, name: str) -> str:
        """The loaded variables."""
        places = {"gamma": 0, "beta": 1, "running_mean": -2, "running_var": -1}
        return f"loaded.held[{places[name]}]" if name in places else name
