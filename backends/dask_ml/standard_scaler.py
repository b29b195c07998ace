"""``dask_ml``: dask_ml.preprocessing.StandardScaler over a Dask array, whose chunks are the training set's.

    dask_ml.dataframe   the same over a Dask data frame, whose partitions are the chunks
    dask_ml.reordered   the same, and its transforms are given the columns in another order: they have names
    dask_ml.numpy       fitted to a Dask array, and given NumPy arrays to transform, as in a service that predicts

Source: https://ml.dask.org/modules/generated/dask_ml.preprocessing.StandardScaler.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, List, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, LayerConfig, State


class DaskML(ScalerAdapter):
    """The scaler, given Dask arrays; computed in this process."""

    framework = "dask_ml"
    conventions = Conventions(
        dtypes=("float64", "float32", "float16"),
        half_parameters=("float32", "input"),
        half_statistics="input",
        half_arithmetic="input",
        input_normalization=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import dask
        import dask.array
        from dask_ml.preprocessing import StandardScaler

        dask.config.set(scheduler="synchronous")
        self.array_module, self.made = dask.array, StandardScaler

    def scaler(self, config: LayerConfig) -> DaskScaler:
        """A ``StandardScaler``."""
        return DaskScaler(config, self.made, self.array_module)


class DaskFrames(DaskML):
    """The scaler, given Dask data frames."""

    conventions = dataclasses.replace(DaskML.conventions, input_missing=True)

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import dask.dataframe
        import pandas

        self.frames, self.pandas = dask.dataframe, pandas

    def scaler(self, config: LayerConfig) -> FramesScaler:
        """A ``StandardScaler``."""
        return FramesScaler(config, self)


class DaskReordered(DaskFrames):
    """The scaler, given data frames whose columns come in another order once it is fitted."""

    def scaler(self, config: LayerConfig) -> ReorderedScaler:
        """A ``StandardScaler``."""
        return ReorderedScaler(config, self)


class DaskNumpy(DaskML):
    """The scaler, given NumPy arrays once it is fitted."""

    def scaler(self, config: LayerConfig) -> NumpyScaler:
        """A ``StandardScaler``."""
        return NumpyScaler(config, self.made, self.array_module)


class DaskScaler(TableScaler):
    """One ``StandardScaler``."""

    def __init__(self, config: LayerConfig, made: Any, array_module: Any) -> None:
        super().__init__(config)
        self.made, self.array_module, self.wrapped = made, array_module, made()

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit`` of one array in these chunks."""
        chunks = [self.array_module.from_array(t, chunks=(-1, -1)) for t in tables]
        self.wrapped = self.made().fit(self.array_module.concatenate(chunks))

    def transform_rows(self, table: Any) -> Any:
        """``transform``."""
        return self.wrapped.transform(self.array_module.from_array(table, chunks=(-1, -1))).compute()

    def inverse_rows(self, table: Any) -> Any:
        """``inverse_transform``."""
        return self.wrapped.inverse_transform(self.array_module.from_array(table, chunks=(-1, -1))).compute()

    def statistics(self) -> State:
        """``mean_`` and ``var_``."""
        return State(self.wrapped.mean_, self.wrapped.var_)


class NumpyScaler(DaskScaler):
    """One ``StandardScaler``, whose transforms are given NumPy arrays."""

    def transform_rows(self, table: Any) -> Any:
        """``transform``."""
        return self.wrapped.transform(table)

    def inverse_rows(self, table: Any) -> Any:
        """``inverse_transform``."""
        return self.wrapped.inverse_transform(table)


class FramesScaler(DaskScaler):
    """One ``StandardScaler``; columns have their numbers as names."""

    def __init__(self, config: LayerConfig, owner: DaskFrames) -> None:
        super().__init__(config, owner.made, owner.array_module)
        self.frames, self.pandas = owner.frames, owner.pandas
        self.columns: List[str] = [str(c) for c in range(config.channels)]

    def frame(self, table: Any) -> Any:
        """A table as a Dask data frame of one partition."""
        return self.frames.from_pandas(self.pandas.DataFrame(table, columns=self.columns), npartitions=1)

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit`` of one data frame in these partitions."""
        frames = [self.frame(table) for table in tables]
        self.wrapped = self.made().fit(self.frames.concat(frames) if len(frames) > 1 else frames[0])

    def transform_rows(self, table: Any) -> Any:
        """``transform``."""
        return self.wrapped.transform(self.frame(table)).compute().to_numpy()

    def inverse_rows(self, table: Any) -> Any:
        """``inverse_transform``."""
        return self.wrapped.inverse_transform(self.frame(table)).compute().to_numpy()

    def statistics(self) -> State:
        """``mean_`` and ``var_``."""
        return State(np.asarray(self.wrapped.mean_), np.asarray(self.wrapped.var_))


class ReorderedScaler(FramesScaler):
    """One ``StandardScaler``; the last column comes first, and results are read by the columns' names."""

    def reordered(self, table: Any) -> Any:
        """A table as a Dask data frame."""
        return self.frame(table)[self.columns[::-1]]

    def transform_rows(self, table: Any) -> Any:
        """``transform``."""
        return self.wrapped.transform(self.reordered(table)).compute()[self.columns].to_numpy()

    def inverse_rows(self, table: Any) -> Any:
        """``inverse_transform``."""
        return self.wrapped.inverse_transform(self.reordered(table)).compute()[self.columns].to_numpy()
