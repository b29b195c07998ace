"""Scripts in scikit-learn: ``StandardScaler``, fitted at once, chunk by chunk or to sparse matrices, and ``scale``."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines, block


class FitWriter(RowsWriter):
    """``fit`` of the whole training set."""

    packages: tuple[str, ...] = ("sklearn",)
    imports: tuple[str, ...] = ("from sklearn.preprocessing import StandardScaler",)

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``fit``."""
        return [f"scaler = {self.made}.fit({joined(tables)})"]

    def applied(self, kind: str, table: str) -> str:
        """``transform`` or ``inverse_transform``."""
        return f"scaler.{'inverse_transform' if kind == 'inverse' else 'transform'}({table})"

    def variable(self, name: str) -> str:
        """``mean_`` and ``var_``."""
        return {"mean": "scaler.mean_", "var": "scaler.var_"}.get(name, name)


class PartialFitWriter(FitWriter):
    """``partial_fit`` of one chunk after the other; one without rows, which scikit-learn refuses, is left out."""

    def takes(self, name: str) -> bool:
        """Whether the chunk has rows."""
        return self.case.arrays[name].size > 0

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``partial_fit``."""
        if len(tables) == 1:
            return [f"scaler = {self.made}.partial_fit({self.table(tables[0])})"]
        fit = f"scaler.partial_fit({self.table('chunk')})"
        return [f"scaler = {self.made}", block(f"for chunk in ({', '.join(tables)}):", [fit])]

    def table(self, rows: str) -> str:
        """A chunk as the scaler is given it."""
        return rows


class CsrWriter(PartialFitWriter):
    """``partial_fit`` of sparse matrices."""

    imports = ("from scipy.sparse import csr_matrix", "from sklearn.preprocessing import StandardScaler")
    made = "StandardScaler(with_mean=False)"

    def table(self, rows: str) -> str:
        """The matrix of a chunk."""
        return f"csr_matrix({rows})"

    def applied(self, kind: str, table: str) -> str:
        """Raises NoScript."""
        raise NoScript("sparse matrices are scaled, and not centred")


class CsrPartsWriter(CsrWriter):
    """The same, every value as two entries of one place, each half of it."""

    def build(self) -> Lines:
        """The function that makes such a matrix."""
        lines = [
            "m = csr_matrix(rows)",
            "halves = np.repeat(m.data / m.data.dtype.type(2), 2)",
            "return csr_matrix((halves, np.repeat(m.indices, 2), m.indptr * 2), shape=rows.shape)",
        ]
        return [*super().build(), block("def in_parts(rows):", lines)]

    def table(self, rows: str) -> str:
        """The matrix of a chunk."""
        return f"in_parts({rows})"


class CscWriter(CsrWriter):
    """The same, with columns in compressed form."""

    imports = ("from scipy.sparse import csc_matrix", "from sklearn.preprocessing import StandardScaler")

    def table(self, rows: str) -> str:
        """The matrix of a chunk."""
        return f"csc_matrix({rows})"


class WeightedWriter(PartialFitWriter):
    """``partial_fit`` with the adapter's ``sample_weight`` for every row."""

    def table(self, rows: str) -> str:
        """A chunk and its weights."""
        return f"{rows}, sample_weight=np.full(len({rows}), {2.0**-20!r})"


class ArrayApiWriter(FitWriter):
    """``fit`` of arrays of ``array_api_strict``."""

    packages = ("sklearn", "array_api_strict")
    imports = ("import array_api_strict", "import sklearn", *FitWriter.imports)
    environment = "SCIPY_ARRAY_API=1"

    def preamble(self) -> Lines:
        """Arrays of the array API are taken as they are."""
        return ["sklearn.set_config(array_api_dispatch=True)"]

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``fit``."""
        return [f"scaler = {self.made}.fit(array_api_strict.asarray({joined(tables)}))"]

    def applied(self, kind: str, table: str) -> str:
        """``transform`` or ``inverse_transform``."""
        return f"np.asarray({super().applied(kind, f'array_api_strict.asarray({table})')})"

    def variable(self, name: str) -> str:
        """``mean_`` and ``var_``."""
        kept = super().variable(name)
        return kept if kept == name else f"np.asarray({kept})"


class ScaleWriter(RowsWriter):
    """The function ``scale``; the statistics, which it does not return, are NumPy's of the table."""

    packages = ("sklearn",)
    imports = ("from sklearn.preprocessing import scale",)

    def fitted(self, tables: Sequence[str]) -> Lines:
        """Nothing. Raises NoScript: the statistics are asked for."""
        if self.wanted in ("mean", "var"):
            raise NoScript("scale returns no statistics")
        return []

    def applied(self, kind: str, table: str) -> str:
        """``scale``. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("scale has no inverse")
        return f"scale({table})"

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return name
