"""Scripts in dask-ml: ``StandardScaler`` over Dask arrays."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines


class DaskWriter(RowsWriter):
    """``fit`` of one array in these chunks."""

    packages: tuple[str, ...] = ("dask_ml", "dask")
    imports: tuple[str, ...] = ("import dask.array", "from dask_ml.preprocessing import StandardScaler")

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``fit``."""
        return [f"scaler = {self.made}.fit({joined([of_dask(t) for t in tables], 'dask.array.concatenate')})"]

    def applied(self, kind: str, table: str) -> str:
        """``transform`` or ``inverse_transform``, computed."""
        return f"scaler.{'inverse_transform' if kind == 'inverse' else 'transform'}({of_dask(table)}).compute()"

    def variable(self, name: str) -> str:
        """``mean_`` and ``var_``."""
        return {"mean": "scaler.mean_", "var": "scaler.var_"}.get(name, name)


class NumpyTransformWriter(DaskWriter):
    """The same, and transforms of NumPy arrays."""

    def applied(self, kind: str, table: str) -> str:
        """``transform`` or ``inverse_transform``."""
        return f"scaler.{'inverse_transform' if kind == 'inverse' else 'transform'}({table})"


class FrameWriter(DaskWriter):
    """Data frames of one partition for each chunk."""

    packages = ("dask_ml", "dask", "pandas")
    imports = ("import dask.dataframe as dd", "import pandas as pd", "from dask_ml.preprocessing import StandardScaler")

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``fit``."""
        return [f"scaler = {self.made}.fit({joined([of_frame(t) for t in tables], 'dd.concat')})"]

    def applied(self, kind: str, table: str) -> str:
        """``transform`` or ``inverse_transform``, computed."""
        name = "inverse_transform" if kind == "inverse" else "transform"
        return f"scaler.{name}({of_frame(table)}).compute().to_numpy()"

    def variable(self, name: str) -> str:
        """``mean_`` and ``var_``."""
        return f"np.asarray({super().variable(name)})" if name in ("mean", "var") else name


class ReorderedWriter(FrameWriter):
    """The same, and transforms of data frames whose last column comes first."""

    def applied(self, kind: str, table: str) -> str:
        """``transform`` or ``inverse_transform``, computed, with the columns as they were."""
        name, order = "inverse_transform" if kind == "inverse" else "transform", list(range(self.config.channels))
        return f"scaler.{name}({of_frame(table)}[{order[::-1]}]).compute()[{order}].to_numpy()"


def of_frame(table: str) -> str:
    """A table as a Dask data frame of one partition."""
    return f"dd.from_pandas(pd.DataFrame({table}), npartitions=1)"


def of_dask(table: str) -> str:
    """A table as a Dask array of one chunk."""
    return f"dask.array.from_array({table}, chunks=(-1, -1))"
