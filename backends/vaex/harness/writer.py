"""Scripts in vaex: ``vaex.ml.StandardScaler`` of data frames."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter
from bnspec.backends.harness.scripts.statements import Lines, block


class VaexWriter(RowsWriter):
    """``fit`` of the concatenation of the chunks' data frames."""

    packages = ("vaex",)
    imports = ("import vaex", "import vaex.ml")

    def build(self) -> Lines:
        """The function that makes a data frame, and a scaler of all its columns."""
        super().build()
        frame = 'return vaex.from_arrays(**{f"x{c}": column.copy() for c, column in enumerate(table.T)})'
        features = f'features=[f"x{{c}}" for c in range({self.config.channels})]'
        return [block("def frame(table):", [frame]), f"scaler = vaex.ml.StandardScaler({features})"]

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``fit``."""
        frames = [f"frame({table})" for table in tables]
        data = frames[0] if len(frames) == 1 else f"vaex.concat([{', '.join(frames)}])"
        return [f"scaler.fit({data})"]

    def applied(self, kind: str, table: str) -> str:
        """``transform``. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("vaex's scaler has no inverse")
        columns = f'[f"standard_scaled_x{{c}}" for c in range({self.config.channels})]'
        return f"scaler.transform(frame({table})).to_pandas_df({columns}).to_numpy()"

    def variable(self, name: str) -> str:
        """``mean_``, and the square of ``std_``."""
        return {"mean": "np.array(scaler.mean_)", "var": "np.square(scaler.std_)"}.get(name, name)
