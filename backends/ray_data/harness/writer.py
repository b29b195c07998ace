"""Scripts in Ray Data: ``StandardScaler`` of a data set of blocks."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter
from bnspec.backends.harness.scripts.statements import Lines


class RayWriter(RowsWriter):
    """``fit`` of data frames; columns have their numbers as names."""

    packages: tuple[str, ...] = ("ray", "pandas")
    imports: tuple[str, ...] = ("import pandas", "import ray.data", "from ray.data.preprocessors import StandardScaler")

    @property
    def made(self) -> str:  # type: ignore[override]  # it depends on the channels here
        """A scaler of all columns."""
        return f"StandardScaler([str(c) for c in range({self.config.channels})])"

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``fit``."""
        blocks = ", ".join(frame(table) for table in tables)
        return [f"data = ray.data.from_pandas([{blocks}])", f"scaler = {self.made}.fit(data)"]

    def applied(self, kind: str, table: str) -> str:
        """``transform_batch``. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("Ray's scaler has no inverse")
        return f"scaler.transform_batch({frame(table)}).to_numpy()"

    def variable(self, name: str) -> str:
        """The entries of ``stats_``, by column."""
        kept = {"mean": 'scaler.stats_[f"mean({c})"]', "var": 'scaler.stats_[f"std({c})"]**2'}.get(name)
        return f"np.array([{kept} for c in range({self.config.channels})])" if kept else name


def frame(table: str) -> str:
    """A table as a data frame whose columns have strings as names."""
    return f"pandas.DataFrame({table}).rename(columns=str)"
