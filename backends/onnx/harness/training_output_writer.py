"""Scripts of ONNX models of a training node, for its y alone, of a whole training set by its own statistics."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import string
from bnspec.backends.harness.scripts.rows import joined
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.harness.mean_variance_writer import MeanVarianceWriter
from bnspec.backends.onnx.harness.writer import TYPES

#: The node's epsilon, which float32 holds, and the values of its constants.
EPSILON, CONSTANTS = 2.0**-10, (("scale", 1.0), ("bias", 0.0), ("mean", 4096.0), ("var", 0.25))


class TrainingOutputWriter(MeanVarianceWriter):
    """The node over the rows of a table. Subclasses define ``runs`` and ``applied``."""

    def fitted(self, tables: Sequence[str]) -> Lines:
        """The model, and the training set."""
        return [*self.runs(self.model()), f"table = {joined(tables)}"]

    def runs(self, text: str) -> Lines:
        """Lines that make what runs the model of this text."""
        return [f"run = {self.runner(text)}"]

    def model(self) -> str:
        """The model in ONNX's text form, as an expression."""
        kind, channels = TYPES[self.config.dtype], self.config.channels
        constants = ", ".join(
            f"{kind}[{channels}] {name} = {{{', '.join([repr(value)] * channels)}}}" for name, value in CONSTANTS
        )
        node = f"y, , , = BatchNormalization <epsilon = {EPSILON!r}, training_mode = 1> (x, scale, bias, mean, var)"
        table = f"{kind}[n,{channels}]"
        header = '<ir_version: 8, opset_import: ["" : 15]>'
        return string(f"{header} layer ({table} x) => ({table} y) <{constants}> {{ {node} }}")
