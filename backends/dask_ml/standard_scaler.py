"""``dask_ml``: dask_ml.preprocessing.StandardScaler over a Dask array, whose chunks are the training set's.

Source: https://ml.dask.org/modules/generated/dask_ml.preprocessing.StandardScaler.html
"""

from __future__ import annotations

from typing import Any, Sequence

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
