"""Scripts in river: ``preprocessing.StandardScaler``, which learns data frames."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines, block


class LearnManyWriter(RowsWriter):
    """``learn_many`` and ``transform_many``; columns have their numbers as names."""

    packages: tuple[str, ...] = ("river", "pandas")
    imports: tuple[str, ...] = ("import pandas", "from river.preprocessing import StandardScaler")

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``learn_many`` of one chunk after the other."""
        if len(tables) == 1:
            return [f"scaler = {self.made}", f"scaler.learn_many({frame(tables[0])})"]
        learn = block(f"for chunk in ({', '.join(tables)}):", [f"scaler.learn_many({frame('chunk')})"])
        return [f"scaler = {self.made}", learn]

    def applied(self, kind: str, table: str) -> str:
        """``transform_many``. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("river's scaler has no inverse")
        return f"scaler.transform_many({frame(table)}).to_numpy()"

    def variable(self, name: str) -> str:
        """``means`` and ``vars``, by column."""
        kept = {"mean": "means", "var": "vars"}.get(name)
        return f"np.array([scaler.{kept}[str(c)] for c in range({self.config.channels})])" if kept else name


class LearnOneWriter(LearnManyWriter):
    """``learn_one`` and ``transform_one`` of NumPy's numbers."""

    packages = ("river",)
    imports = ("from river.preprocessing import StandardScaler",)

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``learn_one`` of one row after the other."""
        learn = block(f"for row in {joined(tables)}:", ["scaler.learn_one({str(c): v for c, v in enumerate(row)})"])
        return [f"scaler = {self.made}", learn]

    def applied(self, kind: str, table: str) -> str:
        """``transform_one`` of every row. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("river's scaler has no inverse")
        one = "scaler.transform_one({str(c): v for c, v in enumerate(row)})"
        return f"np.array([list({one}.values()) for row in {table}])"


def frame(table: str) -> str:
    """A table as a data frame; river asks for names that are strings."""
    return f"pandas.DataFrame({table}).rename(columns=str)"
