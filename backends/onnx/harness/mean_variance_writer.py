"""Scripts of ONNX models of one MeanVarianceNormalization node, of a whole training set by its own statistics."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript, string
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.harness.writer import TYPES


class MeanVarianceWriter(RowsWriter):
    """The node over the rows of a table, run by the reference evaluator."""

    packages: tuple[str, ...] = ("onnx",)
    imports: tuple[str, ...] = ("import onnx.parser", "from onnx.reference import ReferenceEvaluator")

    def build(self) -> Lines:
        """Nothing. Raises NoScript: a layer is asked for, or y before any fit."""
        super().build()
        if self.case.steps[0].call.kind != "fit":
            raise NoScript("no lines are written here for a node without a training set")
        return []

    def fitted(self, tables: Sequence[str]) -> Lines:
        """The model, and the training set."""
        kind, channels = TYPES[self.config.dtype], self.config.channels
        node = "y = MeanVarianceNormalization <axes = [0]> (x)"
        graph = f"scaler ({kind}[n,{channels}] x) => ({kind}[n,{channels}] y) {{ {node} }}"
        model = string(f'<ir_version: 7, opset_import: ["" : 13]> {graph}')
        return [f"run = {self.runner(model)}", f"table = {joined(tables)}"]

    def runner(self, text: str) -> str:
        """The expression of what runs the model of this text."""
        return f"ReferenceEvaluator(onnx.parser.parse_model({text})).run"

    def applied(self, kind: str, table: str) -> str:
        """The node's y. Raises NoScript: the node has no inverse."""
        if kind == "inverse":
            raise NoScript("no lines are written here for an inverse, which the node does not have")
        return f'run(None, {{"x": {table}}})[0]'

    def variable(self, name: str) -> str:
        """The statistics, which the node keeps to itself, by NumPy."""
        return {"mean": "table.mean(axis=0)", "var": "table.var(axis=0)"}.get(name, name)
