"""``ray.data``: ray.data.preprocessors.StandardScaler over a data set whose blocks are the training set's chunks.

What is transformed are data frames of pandas. Missing values are left out. Statistics are float64. There is no inverse.

Source: https://docs.ray.io/en/latest/data/api/doc/ray.data.preprocessors.StandardScaler.html
"""

from __future__ import annotations

import importlib
import logging
from typing import Any, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, LayerConfig, State

#: Processes that Ray has started wait for more work for as long as it runs.
KEEP_PROCESSES = {"idle_worker_killing_time_threshold_ms": 10**8, "num_workers_soft_limit": 4}


class RayData(ScalerAdapter):
    """The scaler, given data frames; Ray runs on this machine, with two processes."""

    framework = "ray"
    conventions = Conventions(
        dtypes=("float64", "float32"),
        input_normalization=True,
        input_missing=True,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        ray, pandas = (importlib.import_module(n) for n in ("ray", "pandas"))
        self.data, self.frame = importlib.import_module("ray.data"), pandas.DataFrame
        self.made = importlib.import_module("ray.data.preprocessors").StandardScaler
        options = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        ray.init(num_cpus=2, _system_config=KEEP_PROCESSES, **options)
        self.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        self.fitted([np.eye(2), np.eye(2)])  # the first fit starts processes, which takes longer than a case may

    def fitted(self, tables: Sequence[Any]) -> Any:
        """A scaler of these tables."""
        columns = names(tables[0])
        frames = [self.frame(table, columns=columns) for table in tables]
        return self.made(columns).fit(self.data.from_pandas(frames))

    def batch(self, table: Any) -> Any:
        """A table as it is transformed."""
        return self.frame(table, columns=names(table))

    def values(self, batch: Any) -> Any:
        """The array of a transformed batch."""
        return batch.to_numpy()

    def scaler(self, config: LayerConfig) -> RayScaler:
        """A ``StandardScaler``."""
        return RayScaler(config, self)


def names(table: Any) -> Any:
    """Columns have their numbers as names."""
    return [str(c) for c in range(table.shape[1])]


class RayScaler(TableScaler):
    """One ``StandardScaler``."""

    def __init__(self, config: LayerConfig, owner: RayData) -> None:
        super().__init__(config)
        self.owner = owner
        self.wrapped = owner.made(names(np.empty((0, config.channels))))

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit`` of one data set of these blocks."""
        self.wrapped = self.owner.fitted(tables)

    def transform_rows(self, table: Any) -> Any:
        """``transform_batch``."""
        return self.owner.values(self.wrapped.transform_batch(self.owner.batch(table)))

    def statistics(self) -> State:
        """The entries of ``stats_``, the standard deviation squared; None, of a feature without values, is NaN."""
        kinds = ("mean", "std")
        found = [[self.wrapped.stats_["%s(%d)" % (kind, c)] for c in range(self.config.channels)] for kind in kinds]
        mean, std = (np.array([np.nan if v is None else v for v in values], np.float64) for values in found)
        return State(mean, np.square(std))
