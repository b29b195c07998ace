"""Scripts in Keras with ``BatchNormalization(synchronized=True)`` on two replicas of a ``tf.distribute.MirroredStrategy``."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.keras.harness.writer import KerasWriter, without_channels
from bnspec.backends.tensorflow.harness.writer import TensorflowWriter
from bnspec.model.case import Step

#: What the lines are written for.
WRITTEN = ("forward", "gradients", "masked", "masked_gradients")
SCOPE = "with strategy.scope():"


class SynchronizedWriter(KerasWriter):
    """The layer on replicas, of which each has its rows of every array."""

    options = ("synchronized=True",)

    def preamble(self) -> Lines:
        """Two logical devices, a strategy over them, and what splits the rows of an array."""
        part = "tf.split(a, [(len(a) + 1) // 2, len(a) // 2])[replica.replica_id_in_sync_group]"
        cpus, two = 'tf.config.list_physical_devices("CPU")', "[tf.config.LogicalDeviceConfiguration()] * 2"
        return [
            f"tf.config.set_logical_device_configuration(*{cpus}, {two})",
            'strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])',
            f"split = lambda a: strategy.experimental_distribute_values_from_function(lambda replica: {part})",
        ]

    def array(self, name: str) -> str:
        """A tensor, which is split; a variable could not be."""
        return super(TensorflowWriter, self).array(name)

    def build(self) -> Lines:
        """The layer in the strategy's scope."""
        return [block(SCOPE, super().build())]

    def restart(self) -> Lines:
        """The weights, on each replica."""
        return [block(SCOPE, super().restart())]

    def between(self, step: Step) -> Lines:
        """Raises NoScript: what is done with a layer in the strategy's scope is not written here, but for its momentum."""
        if step.call.kind != "set_decay":
            raise NoScript(f"no lines are written here for {step.call} on replicas")
        return super().between(step)

    def perform(self, step: Step, y: str) -> Lines:
        """Lines of any step. Raises NoScript: derivatives beyond the gradients."""
        if not step.call.between and step.call.kind not in WRITTEN:
            raise NoScript(f"no lines are written here for {step.call} on replicas")
        return super().perform(step, y)

    def call(self, step: Step, y: str) -> Lines:
        """One call on each replica, and its results put together."""
        return self.on_replicas(step, y, f"layer(x, training={step.call.mode == 'training'})")

    def masked(self, step: Step, y: str) -> Lines:
        """The same with a mask, which Keras takes without the channel axis."""
        return self.on_replicas(step, y, "layer(x, training=True, mask=mask)")

    def on_replicas(self, step: Step, y: str, called: str) -> Lines:
        """Each replica calls this with its rows of the step's arrays."""
        names = ["x", *(["dy"] if step.call.has_gradients else []), *(["mask"] if step.call.has_mask else [])]
        given = dict(zip(names, (self.given(n) for n in step.inputs), strict=True))
        if step.call.has_mask:
            given["mask"] += f"[{without_channels(self.config)}]"
        if not step.call.has_gradients or (self.compact and not self.wants_gradient()):
            given.pop("dy", None)
            parts = ", ".join(f"split({a})" for a in given.values())
            comma = "," if len(given) == 1 else ""
            run = f"strategy.run(lambda {', '.join(given)}: {called}, ({parts}{comma}))"
            return [f"{y} = {together(y, run)}"]
        sources = dict(zip(("dx", "dgamma", "dbeta"), ["x", *self.leaves()]))
        watch = ["tape.watch(x)"] if self.wanted in ("dx", "state") or not self.compact else []
        tape = block("with tf.GradientTape() as tape:", [*watch, f"y = {called}"])
        define = f"def step({', '.join(given)}):"
        run = f"strategy.run(step, ({', '.join(f'split({a})' for a in given.values())}))"
        if self.compact and self.wanted in sources:
            found = f"return tape.gradient(y, {sources[self.wanted]}, output_gradients=dy)"
            return [block(define, [tape, found]), f"{self.wanted} = {together(self.wanted, run)}"]
        found = f"return y, *tape.gradient(y, [{', '.join(sources.values())}], output_gradients=dy)"
        results = [y, *sources]
        joined = [f"{n} = {together(n, n)}" for n in results]
        return [block(define, [tape, found]), f"{', '.join(results)} = {run}", *joined]


def together(name: str, result: str) -> str:
    """The whole batch's result of the replicas': rows one after the other, or a sum."""
    return f"sum({result}.values)" if name in ("dgamma", "dbeta") else f"tf.concat({result}.values, 0)"
