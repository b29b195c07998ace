"""Scripts in tslearn: ``TimeSeriesScalerMeanVariance``, fitted to a data set of series."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.rows import RowsWriter
from bnspec.backends.harness.scripts.statements import Lines


class SeriesWriter(RowsWriter):
    """``fit`` of one series for each chunk."""

    packages = ("tslearn",)
    imports = (
        "from tslearn.preprocessing import TimeSeriesScalerMeanVariance",
        "from tslearn.utils import to_time_series_dataset",
    )
    made = "TimeSeriesScalerMeanVariance(per_timeseries=False)"

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``fit``."""
        return [f"scaler = {self.made}.fit(to_time_series_dataset([{', '.join(tables)}]))"]

    def applied(self, kind: str, table: str) -> str:
        """``transform`` or ``inverse_transform`` of one series."""
        return f"scaler.{'inverse_transform' if kind == 'inverse' else 'transform'}({table}[None])[0]"

    def variable(self, name: str) -> str:
        """``mean_``, and the square of ``std_``."""
        return {"mean": "scaler.mean_.ravel()", "var": "np.square(scaler.std_.ravel())"}.get(name, name)
