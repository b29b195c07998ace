"""``sklearn.fit`` and ``sklearn.partial_fit``: sklearn.preprocessing.StandardScaler, fitted at once or chunk by chunk.

Statistics are float64 whatever x is. A feature whose variance is rounding noise counts as constant and is divided by 1.

Source: https://scikit-learn.org/stable/modules/generated/sklearn.preprocessing.StandardScaler.html
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, LayerConfig, State

CONVENTIONS = Conventions(
    dtypes=("float64", "float32", "float16"),
    half_parameters=("float32", "input"),
    input_normalization=True,
)


class SklearnFit(ScalerAdapter):
    """``fit`` of the whole training set."""

    framework = "sklearn"
    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from sklearn.preprocessing import StandardScaler

        self.made = StandardScaler

    def scaler(self, config: LayerConfig) -> FittedScaler:
        """A ``StandardScaler``."""
        return FittedScaler(config, self.made)


class SklearnPartialFit(SklearnFit):
    """``partial_fit`` of one chunk after the other."""

    def scaler(self, config: LayerConfig) -> PartiallyFittedScaler:
        """A ``StandardScaler``."""
        return PartiallyFittedScaler(config, self.made)


class FittedScaler(TableScaler):
    """One ``StandardScaler``, fitted once."""

    def __init__(self, config: LayerConfig, made: Any) -> None:
        super().__init__(config)
        self.made, self.wrapped = made, made()

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit``."""
        self.wrapped = self.made().fit(np.concatenate(tables))

    def transform_rows(self, table: Any) -> Any:
        """``transform``."""
        return self.wrapped.transform(table)

    def inverse_rows(self, table: Any) -> Any:
        """``inverse_transform``."""
        return self.wrapped.inverse_transform(table)

    def statistics(self) -> State:
        """``mean_`` and ``var_``."""
        return State(self.wrapped.mean_, self.wrapped.var_)


class PartiallyFittedScaler(FittedScaler):
    """One ``StandardScaler``, fitted chunk by chunk."""

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``partial_fit`` of a new scaler; a chunk without rows, which scikit-learn refuses, is left out by its user."""
        self.wrapped = self.made()
        for table in [t for t in tables if len(t)] or tables:
            self.wrapped.partial_fit(table)
