"""Scripts with ``flax.nnx.BatchNorm`` on two host devices, by ``nnx.shard_map``."""

from __future__ import annotations

from bnspec.backends.flax.harness.nnx_writer import FlaxWriter
from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.jax.harness.numpy_writer import TWO_DEVICES
from bnspec.model.case import Step


class NnxReplicasWriter(FlaxWriter):
    """The module with an axis name: its state is the same on each device, and each has its rows of x."""

    environment = f"{FlaxWriter.environment} {TWO_DEVICES}"

    def preamble(self) -> Lines:
        """64-bit mode, and the devices."""
        mesh = 'mesh, every = jax.make_mesh((2,), ("replicas",), (jax.sharding.AxisType.Auto,)), jax.P()'
        return [*super().preamble(), mesh]

    def form_options(self) -> list[str]:
        """The option of the adapter."""
        return ['axis_name="replicas"']

    def perform(self, step: Step, y: str) -> Lines:
        """Lines of any step. Raises NoScript: what is neither a forward pass nor between the calls."""
        passes = step.call.kind in ("forward", "masked") or (self.compact and not self.wants_gradient())
        if not step.call.between and not (
            passes and step.call.kind in ("forward", "gradients", "masked", "masked_gradients")
        ):
            raise NoScript(f"no lines are written here for {step.call} on replicas")
        return super().perform(step, y)

    def between(self, step: Step) -> Lines:
        """Raises NoScript."""
        raise NoScript(f"no lines are written here for {step.call} on replicas")

    def applied(self, step: Step, y: str, forward: str) -> Lines:
        """The expression ``forward`` on each device; a batch of odd size is whole on each."""
        kept = [k for k, name in enumerate(step.call.inputs) if name != "dy"]
        names = ", ".join(step.call.inputs[k] for k in kept)
        given = ", ".join(self.given(step.inputs[k]) for k in kept)
        rows = "every" if self.case.arrays[step.inputs[0]].shape[0] % 2 else 'jax.P("replicas")'
        specs = f"mesh=mesh, in_specs=(every, {', '.join([rows] * len(kept))}), out_specs={rows}"
        run = f"nnx.shard_map(lambda layer, {names}: {forward}, {specs})"
        return [*self.in_mode(step), f"{y} = {run}(layer, {given})"]
