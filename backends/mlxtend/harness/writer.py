"""Scripts in mlxtend: ``standardize``, whose parameters of the training set are given to later calls."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines


class StandardizeWriter(RowsWriter):
    """``standardize`` with ``return_params`` and then ``params``."""

    packages = ("mlxtend",)
    imports = ("from mlxtend.preprocessing import standardize",)
    made = "None"

    def fitted(self, tables: Sequence[str]) -> Lines:
        """The parameters of the training set."""
        return [f"_, scaler = standardize({joined(tables)}, return_params=True)"]

    def applied(self, kind: str, table: str) -> str:
        """The function with these parameters. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("standardize has no inverse")
        return f"standardize({table}, params=scaler)"

    def variable(self, name: str) -> str:
        """The entry "avgs", and the square of the entry "stds"."""
        return {"mean": 'scaler["avgs"]', "var": 'np.square(scaler["stds"])'}.get(name, name)
