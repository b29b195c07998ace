"""Scripts of scalers of tables: NumPy arrays, or what a package makes of them, with features in columns and samples in rows."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step


class RowsWriter(Writer):
    """One scaler, named ``scaler``. Subclasses give its lines for tables of shape (samples, C)."""

    made = "StandardScaler()"

    def tensor(self, value: Literal) -> str:
        """``np.array([...], "float32")``."""
        return numpy_expression(value, f'"{value.dtype}"')

    def build(self) -> Lines:
        """A scaler that has seen nothing, where it is asked before a fit. Raises NoScript: a layer is asked for."""
        if self.case.subject != "input_norm":
            raise NoScript("this package normalises inputs, and has no batch normalization")
        return [] if self.case.steps[0].call.kind == "fit" else [f"scaler = {self.made}"]

    def restart(self) -> Lines:
        """Nothing: a fit begins anew."""
        return []

    def call(self, step: Step, y: str) -> Lines:
        """A fit of all chunks, or one table transformed or inverted."""
        if step.call.kind == "fit":
            return self.fitted([self.rows(n) for n in step.inputs if self.takes(n)] or [self.rows(step.inputs[0])])
        name = step.inputs[0]
        return [f"{y} = {self.back(self.applied(step.call.kind, self.rows(name)), name)}"]

    def takes(self, name: str) -> bool:
        """Whether a fit is given this chunk."""
        return True

    @abc.abstractmethod
    def fitted(self, tables: Sequence[str]) -> Lines:
        """Lines that fit the scaler to these tables."""

    @abc.abstractmethod
    def applied(self, kind: str, table: str) -> str:
        """The table transformed or, for "inverse", inverted. Raises NoScript: the scaler has no inverse."""

    def rows(self, name: str) -> str:
        """An input as a table."""
        axis, given = self.config.channel_axis, self.given(name)
        return given if self.is_table() else f"np.moveaxis({given}, {axis}, -1).reshape(-1, {self.config.channels})"

    def back(self, table: str, name: str) -> str:
        """A table in the shape of an input."""
        axis, shape = self.config.channel_axis, self.case.arrays[name].shape
        last = (*shape[:axis], *shape[axis + 1 :], shape[axis])
        return table if self.is_table() else f"np.moveaxis({table}.reshape{last}, -1, {axis})"

    def is_table(self) -> bool:
        """Whether inputs are tables as they are."""
        return (self.config.rank, self.config.channel_axis) == (2, 1)


def joined(tables: Sequence[str], concatenate: str = "np.concatenate") -> str:
    """The chunks as one table."""
    return tables[0] if len(tables) == 1 else f"{concatenate}([{', '.join(tables)}])"
