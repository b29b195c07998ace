"""Scripts in Keras on its PyTorch and JAX backends: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization``."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.jax.harness.pure_writer import PureWriter
from bnspec.backends.keras.harness.writer import StatefulKeras, built, scaled, scaler, without_channels
from bnspec.backends.torch.harness.writer import TorchWriter
from bnspec.model.case import Step


class KerasTorchWriter(StatefulKeras, TorchWriter):
    """The Keras layers on tensors of PyTorch, eager."""

    packages = ("keras", "torch")
    imports = ("import keras", "import torch")
    environment = "KERAS_BACKEND=torch KERAS_TORCH_DEVICE=cpu"
    mask = ""

    def devices(self) -> Sequence[str]:
        """The environment names the device: written for the CPU."""
        return ("cpu",)

    def forward(self, x: str, training: bool) -> str:
        """The layer's call."""
        return f"layer({x}, training={training}{self.mask})"

    def masked(self, step: Step, y: str) -> Lines:
        """The layer's call with a mask, which Keras takes without the channel axis."""
        self.mask = f", mask={self.given(step.inputs[-1])}[{without_channels(self.config)}]"
        lines = super().call(step, y)
        self.mask = ""
        return lines

    def call(self, step: Step, y: str) -> Lines:
        """A layer's call, or one of a scaler's."""
        if self.case.subject == "input_norm":
            return scaled(self.config, step.call, y, [self.given(n) for n in step.inputs])
        return super().call(step, y)


class KerasTorchRematWriter(KerasTorchWriter):
    """The layer under ``keras.remat``."""

    def forward(self, x: str, training: bool) -> str:
        """The layer's call, of which nothing is kept for the backward pass."""
        return f"keras.remat(lambda x: layer(x, training={training}))({x})"

    def wants_gradient(self) -> bool:
        """Always: the backward pass is a second step."""
        return True


class KerasJaxWriter(PureWriter):
    """``stateless_call`` of the layer under jax.jit."""

    packages = ("keras", "jax")
    imports = (*PureWriter.imports, "import keras")
    parameters, states, by_gamma = "weights", "moving", "[0]"
    environment = "KERAS_BACKEND=jax JAX_PLATFORMS=cpu"

    def build(self) -> Lines:
        """The layer and its variables."""
        if self.case.subject == "input_norm":
            return scaler(self.case)
        weights = ", ".join(self.array(n) for n in ("gamma", "beta") if n in self.case.arrays)
        return [*built(self.config), f"weights = [{weights}]", *self.restart()]

    def restart(self) -> Lines:
        """moving_mean and moving_variance."""
        if self.case.subject == "input_norm":
            return []
        return [f"moving = [{self.array('running_mean')}, {self.array('running_var')}]"]

    def call(self, step: Step, y: str) -> Lines:
        """One jitted call, or its vector-Jacobian product, or one of a scaler's."""
        given = [self.given(n) for n in step.inputs]
        if self.case.subject == "input_norm":
            return scaled(self.config, step.call, y, given)
        if len(given) == 1 or (self.compact and not self.wants_gradient()):
            training = step.call.mode == "training"
            called = f"jax.jit(lambda w, m, x: layer.stateless_call(w, m, x, training={training}))"
            return [f"{y}, moving = {called}(weights, moving, {given[0]})"]
        self.packed = True
        define, _ = self.forward(step)
        if self.compact:
            gradients = "jax.jit(lambda x, dy, w: jax.vjp(forward, x, w, has_aux=True)[1](dy))"
            return [*define, f"dx, dw = {gradients}({', '.join(given)}, weights)"]
        vjp = "y, back, new = jax.vjp(forward, x, w, has_aux=True)"
        return [
            *define,
            *self.define(block("def gradients(x, dy, w):", [vjp, "return y, back(dy), new"])),
            f"{y}, (dx, dw), moving = {self.jitted('gradients')}({', '.join(given)}, weights)",
        ]

    def applied(self, training: bool, mask: str = "") -> str:
        """stateless_call, which gives y and the new variables."""
        given = f", mask={mask}[{without_channels(self.config)}]" if mask else ""
        return f"layer.stateless_call(w, moving, x, training={training}{given})"

    def after(self, aux: str) -> str:
        """The new variables."""
        return aux

    def weights(self, gamma: str, beta: str) -> str:
        """Variables of these values."""
        return f"[{gamma}, {beta}]" if self.config.affine else "[]"

    def between(self, step: Step) -> Lines:
        """Another momentum, and copies of arrays. Raises NoScript: what takes a layer that owns its variables."""
        if step.call.kind == "set_decay":
            return [f"layer.momentum = {step.option('decay')!r}", *self.with_decay(step)]
        return self.kept_aside(step, ("moving",))

    def variable(self, name: str) -> str:
        """The layer's variables."""
        return {
            "gamma": "weights[0]",
            "beta": "weights[1]",
            "running_mean": "moving[0]",
            "running_var": "moving[1]",
            "mean": "layer.weights[0].value",
            "var": "layer.weights[1].value",
        }.get(name, self.gradient(name))
