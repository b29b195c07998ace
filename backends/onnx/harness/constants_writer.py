"""Scripts of ONNX models for inference whose parameters and statistics are constants, alone or after a convolution that is the identity."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.harness.writer import IR_VERSIONS, TYPES, NodeWriter
from bnspec.model.call import Mode
from bnspec.model.case import Step
from bnspec.model.conventions import HALVES


class ConstantsWriter(NodeWriter):
    """A model of one node, of x alone. Subclasses define ``models``, and ``inferred`` or ``call``."""

    before = ""  # the operator before the node

    def build(self) -> Lines:
        """The model. Raises NoScript: a scaler is asked for, or a training pass."""
        if self.case.subject == "input_norm" or "training" in self.modes():
            raise NoScript("no lines are written here for anything but inference: the model is for inference")
        return self.models()

    def inferred(self, x: str) -> str:
        """The expression of the model's y of this x."""
        raise NotImplementedError

    def call(self, step: Step, y: str) -> Lines:
        """The model's y. Raises NoScript: it has no backward pass."""
        if step.call.has_gradients:
            raise NoScript("no lines are written here for gradients: the model is for inference")
        return [f"{y} = {self.inferred(self.given(step.inputs[0]))}"]

    def restart(self) -> Lines:
        """Nothing: an inference leaves the model as it is."""
        return []

    def constant(self, name: str, array: np.ndarray) -> str:
        """A constant in ONNX's text form, in half precision by its bits. Raises NoScript: it has no such number."""
        if array.dtype.name in HALVES:
            values = ", ".join(str(bits) for bits in array.reshape(-1).view(np.uint16))
        elif np.isfinite(array).all():
            values = ", ".join(repr(float(v)) for v in array.reshape(-1))
        else:
            raise NoScript("no lines are written here for constants that are not finite")
        shape = ",".join(map(str, array.shape))
        return f"{TYPES[array.dtype.name]}[{shape}] {name} = {{{values}}}"

    def model(self, mode: Mode) -> str:
        """The model in ONNX's text form."""
        config = self.config
        shape = ",".join(str(config.channels) if axis == 1 else f"n{axis}" for axis in range(config.rank))
        kind, arrays = TYPES[config.dtype], self.case.arrays
        names = (("scale", "gamma"), ("bias", "beta"), ("mean", "running_mean"), ("var", "running_var"))
        constants = [self.constant(own, arrays[name]) for own, name in names]
        nodes, of = "", "x"
        if self.before:
            axes = ["1"] * (config.rank - 2)
            eye = np.eye(config.channels, dtype=config.dtype).reshape(2 * (config.channels,) + (1,) * len(axes))
            constants.append(self.constant("weight", eye))
            nodes, of = f"z = {self.before} <kernel_shape = [{', '.join(axes)}]> (x, weight) ", "z"
        nodes += f"y = BatchNormalization <epsilon = {config.epsilon!r}> ({of}, scale, bias, mean, var)"
        header = f'<ir_version: {IR_VERSIONS[self.opset]}, opset_import: ["" : {self.opset}]>'
        return f"{header} layer ({kind}[{shape}] x) => ({kind}[{shape}] y) <{', '.join(constants)}> {{ {nodes} }}"

    def between(self, step: Step) -> Lines:
        """Raises NoScript."""
        raise NoScript(f"no lines are written here for {step.call}")

    def variable(self, name: str) -> str:
        """A result. Raises NoScript: a statistic, which is a constant of the model."""
        if name in ("running_mean", "running_var"):
            raise NoScript("no lines are written here for statistics: they are constants of the model")
        return name
