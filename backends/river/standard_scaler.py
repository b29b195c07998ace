"""``river``: river.preprocessing.StandardScaler, which learns mini-batches with learn_many.

Statistics are float64 whatever x is. A feature of variance 0 is divided by 1.

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
