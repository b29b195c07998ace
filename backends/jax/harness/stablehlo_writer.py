"""Scripts of StableHLO's batch normalization: the text of a module, which the XLA in jaxlib compiles and runs."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.jax.harness.numpy_writer import JaxWriter
from bnspec.backends.jax.stablehlo import BACKWARD, INFERENCE, TRAINING, module
from bnspec.model.case import Step


class StablehloWriter(JaxWriter):
    """A module for each call; the moving average is the user's own line."""

    packages = ("jax",)
    imports = ("import jax", "from jaxlib import _jax, xla_client")

    def preamble(self) -> Lines:
        """64-bit mode, and what compiles."""
        return [*super().preamble(), 'device = jax.devices("cpu")[0]']

    def build(self) -> Lines:
        """gamma, beta, and the running statistics where they are read."""
        return [*(f"{n} = {self.array(n)}" for n in ("gamma", "beta")), *self.restart()]

    def restart(self) -> Lines:
        """The running statistics, where they are read."""
        return self.state_list() if self.reads_state() else []

    def call(self, step: Step, y: str) -> Lines:
        """The module's text, compiled and run; in training the moving average. Raises NoScript: gradients of inference."""
        training = step.call.mode == "training"
        if step.call.has_gradients and not training:
            raise NoScript("StableHLO has no operation for the gradients of batch_norm_inference")
        passes_back = step.call.has_gradients and (self.wants_gradient() or not self.compact)
        function = (BACKWARD if passes_back else TRAINING) if training else INFERENCE
        given = [self.given(step.inputs[0]), "gamma", "beta"]
        given += [self.given(step.inputs[1])] if passes_back else [] if training else ["*state"]
        shape = tuple(self.case.arrays[step.inputs[0]].shape)
        rows = module(function, self.config, shape).strip().splitlines()[1:-1]
        text = ", ".join('"%s"' % row.strip().replace('"', '\\"') for row in rows)
        options = "_jax.DeviceList((device,)), xla_client.CompileOptions()"
        names = ", ".join([y, *function[2].split()[1:]])
        lines = [
            f'text = "\\n".join([{text}])',
            f"run = device.client.compile_and_load(text.encode(), {options}).execute_sharded",
            f"results = run([{', '.join(given)}]).disassemble_into_single_device_arrays()",
            f"{names} = (shards[0] for shards in results)" if training else f"{y} = results[0][0]",
        ]
        if training and self.reads_state():
            decay = self.config.decay
            moved = f"{decay!r} * old + {1.0 - decay!r} * new"
            lines.append(f"state = [{moved} for old, new in zip(state, (mean, var))]")
        return lines

    def between(self, step: Step) -> Lines:
        """Copies of arrays, which never change, and another decay. Raises NoScript: what is not StableHLO's."""
        return self.kept_aside(step, ("state",) if self.reads_state() else ())

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {"running_mean": "state[0]", "running_var": "state[1]"}.get(name, name)
