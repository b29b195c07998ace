"""``tslearn``: tslearn.preprocessing.TimeSeriesScalerMeanVariance with per_timeseries=False, which learns from a data set of series.

Each chunk of the training set is a series, of as many samples as the chunk has rows; ``to_time_series_dataset`` pads the shorter
ones with NaN, which the scaler leaves out. Everything is float64, whatever x is.

Source: https://tslearn.readthedocs.io/en/stable/gen_modules/preprocessing/tslearn.preprocessing.TimeSeriesScalerMeanVariance.html
"""

from __future__ import annotations

import functools
from typing import Any, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, LayerConfig, State


class Tslearn(ScalerAdapter):
    """The scaler, given data sets of series."""

    framework = "tslearn"
    conventions = Conventions(
        dtypes=("float64", "float32", "float16"),
        half_parameters=("float32", "input"),
        input_normalization=True,
        input_missing=True,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from tslearn.preprocessing import TimeSeriesScalerMeanVariance
        from tslearn.utils import to_time_series_dataset

        self.made, self.series = (
            functools.partial(TimeSeriesScalerMeanVariance, per_timeseries=False),
            to_time_series_dataset,
        )

    def scaler(self, config: LayerConfig) -> SeriesScaler:
        """A ``TimeSeriesScalerMeanVariance``."""
        return SeriesScaler(config, self)


class SeriesScaler(TableScaler):
    """One ``TimeSeriesScalerMeanVariance``."""

    def __init__(self, config: LayerConfig, owner: Tslearn) -> None:
        super().__init__(config)
        self.owner, self.wrapped = owner, owner.made()

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit`` of one series for each table."""
        self.wrapped = self.owner.made().fit(self.owner.series(list(tables)))

    def transform_rows(self, table: Any) -> Any:
        """``transform`` of one series."""
        return self.wrapped.transform(table[None])[0]

    def inverse_rows(self, table: Any) -> Any:
        """``inverse_transform`` of one series."""
        return self.wrapped.inverse_transform(table[None])[0]

    def statistics(self) -> State:
        """``mean_``, and the square of ``std_``."""
        return State(self.wrapped.mean_.ravel(), np.square(self.wrapped.std_.ravel()))
