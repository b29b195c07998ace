"""Shared by adapters of scalers that take tables: features in columns, samples in rows.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import abc
from typing import Any, Sequence

import numpy as np

from bnspec.contract import Adapter, Declined, Layer, LayerConfig, Scaler, State


class ScalerAdapter(Adapter):
    """A package that normalises inputs and has no batch normalization. Subclasses define ``conventions`` and ``scaler``."""

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Layer:
        """Raises Declined."""
        raise Declined("this package normalises inputs, and has no batch normalization")


class TableScaler(Scaler):
    """A scaler of tables, for x of any rank: the feature axis becomes the columns. Subclasses define the three ``*_rows``."""

    def __init__(self, config: LayerConfig) -> None:
        self.config = config

    @abc.abstractmethod
    def fit_rows(self, tables: Sequence[Any]) -> None:
        """Learn the statistics of these tables, each of shape (samples, C)."""

    @abc.abstractmethod
    def transform_rows(self, table: Any) -> Any:
        """The table normalised."""

    def inverse_rows(self, table: Any) -> Any:
        """The inverse of ``transform_rows``."""
        raise Declined("this scaler has no inverse")

    def rows(self, x: Any) -> Any:
        """x as a table."""
        return np.moveaxis(x, self.config.channel_axis, -1).reshape(-1, self.config.channels)

    def back(self, table: Any, x: Any) -> Any:
        """A table in x's shape."""
        last = np.moveaxis(x, self.config.channel_axis, -1).shape
        return np.moveaxis(np.asarray(table).reshape(last), -1, self.config.channel_axis)

    def fit(self, chunks: Sequence[Any]) -> None:
        """Learn the statistics of the training set."""
        self.fit_rows([self.rows(chunk) for chunk in chunks])

    def transform(self, x: Any) -> Any:
        """x normalised."""
        return self.back(self.transform_rows(self.rows(x)), x)

    def inverse(self, y: Any) -> Any:
        """The x that ``transform`` maps to y."""
        return self.back(self.inverse_rows(self.rows(y)), y)


class ScaledTable(TableScaler):
    """One table and a function that scales it by its own statistics; these, which it does not return, are NumPy's in float64."""

    def __init__(self, config: LayerConfig, function: Any) -> None:
        super().__init__(config)
        self.function, self.table = function, np.empty((0, config.channels))

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """Keep the table. Raises ValueError: it has no rows."""
        self.table = np.concatenate(tables)
        if not len(self.table):
            raise ValueError("the table has no rows")

    def transform_rows(self, table: Any) -> Any:
        """The function's result. Raises Declined: another table."""
        if table.shape != self.table.shape or table.tobytes() != self.table.tobytes():
            raise Declined("the function takes the statistics of the table that it scales")
        return self.function(table)

    def statistics(self) -> State:
        """The table's mean and variance."""
        wide = self.table.astype(np.float64)
        return State(wide.mean(axis=0), wide.var(axis=0))
