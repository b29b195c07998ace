"""Scripts of the statistics that a training node of opset 9 saves, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript, string
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.harness.writer import FIVE, IR_VERSIONS, TYPES


class SavedWriter(RowsWriter):
    """A training node with five outputs over the rows of a table."""

    packages = ("onnxruntime", "onnx")
    imports = ("import onnx.parser", "from onnxruntime import InferenceSession")

    def fitted(self, tables: Sequence[str]) -> Lines:
        """The node's outputs, of which the last two are the statistics."""
        config, kind = self.config, TYPES[self.config.dtype]
        others = ("scale", "bias", "mean", "var")
        inputs = ", ".join([f"{kind}[n,{config.channels}] x", *(f"{kind}[{config.channels}] {n}" for n in others)])
        outputs = ", ".join([f"{kind}[n,{config.channels}] y", *(f"{kind}[{config.channels}] {n}" for n in FIVE)])
        node = f"y, {', '.join(FIVE)} = BatchNormalization <epsilon = 0.0, momentum = 0.0> (x, {', '.join(others)})"
        header = f'<ir_version: {IR_VERSIONS[9]}, opset_import: ["" : 9]>'
        text = f"{header} saved ({inputs}) => ({outputs}) {{ {node} }}"
        return [
            f"model = onnx.parser.parse_model({string(text)}).SerializeToString()",
            'session = InferenceSession(model, providers=["CPUExecutionProvider"])',
            f"x = {joined(tables)}",
            "one, none = np.ones_like(x[0]), np.zeros_like(x[0])",
            'given = {"x": x, "scale": one, "bias": none, "mean": none, "var": none}',
            "mean, var = session.run(None, given)[3:]",
        ]

    def applied(self, kind: str, table: str) -> str:
        """Raises NoScript: the statistics are what is asked for."""
        raise NoScript("the node that transforms is that of onnxruntime.opset9")

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return name
