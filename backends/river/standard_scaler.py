"""``river``: river.preprocessing.StandardScaler, which learns mini-batches with learn_many.

    river.one   the same with learn_one and transform_one, of one row at a time

Statistics are float64 whatever x is, says learn_many. A feature of variance 0 is divided by 1.

Source: https://riverml.xyz/latest/api/preprocessing/StandardScaler/
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, LayerConfig, State


class River(ScalerAdapter):
    """The scaler, given data frames."""

    framework = "river"
    conventions = Conventions(
        dtypes=("float64", "float32", "float16"),
        half_parameters=("float32", "input"),
        input_normalization=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import pandas
        from river.preprocessing import StandardScaler

        self.frame, self.made = pandas.DataFrame, StandardScaler

    def scaler(self, config: LayerConfig) -> LearningScaler:
        """A ``StandardScaler``."""
        return LearningScaler(config, self.made, self.frame)


class LearningScaler(TableScaler):
    """One ``StandardScaler``; columns have their numbers as names."""

    def __init__(self, config: LayerConfig, made: Any, frame: Any) -> None:
        super().__init__(config)
        self.made, self.frame, self.wrapped = made, frame, made()
        self.columns = [str(c) for c in range(config.channels)]

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``learn_many`` of a new scaler."""
        self.wrapped = self.made()
        for table in tables:
            self.wrapped.learn_many(self.frame(table, columns=self.columns))

    def transform_rows(self, table: Any) -> Any:
        """``transform_many``."""
        return self.wrapped.transform_many(self.frame(table, columns=self.columns)).to_numpy()

    def statistics(self) -> State:
        """``means`` and ``vars``."""
        return State(*(np.array([found[c] for c in self.columns]) for found in (self.wrapped.means, self.wrapped.vars)))


class RiverOne(River):
    """The scaler, given rows as dictionaries of NumPy's numbers."""

    def scaler(self, config: LayerConfig) -> RowScaler:
        """A ``StandardScaler``."""
        return RowScaler(config, self.made, self.frame)


class RowScaler(LearningScaler):
    """One ``StandardScaler``, which has one row a call."""

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``learn_one`` of a new scaler, for every row. Raises ValueError: there are no rows, so it is not called."""
        if not any(map(len, tables)):
            raise ValueError("the table has no rows")
        self.wrapped = self.made()
        for table in tables:
            for row in table:
                self.wrapped.learn_one(dict(zip(self.columns, row)))

    def transform_rows(self, table: Any) -> Any:
        """``transform_one`` of every row."""
        rows = [self.wrapped.transform_one(dict(zip(self.columns, row))) for row in table]
        return np.array([[row[c] for c in self.columns] for row in rows]).reshape(table.shape)
