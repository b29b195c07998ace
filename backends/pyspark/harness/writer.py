"""Scripts in pyspark: ``StandardScaler`` of data frames of vectors."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.rows import RowsWriter
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.model.case import Step


class SparkWriter(RowsWriter):
    """``fit`` of the union of the chunks' data frames."""

    packages = ("pyspark",)
    imports = (
        "from pyspark.ml.feature import StandardScaler",
        "from pyspark.ml.linalg import Vectors, VectorUDT",
        "from pyspark.sql import SparkSession",
        "from pyspark.sql.types import StructType",
    )
    made = 'StandardScaler(withMean=True, inputCol="x", outputCol="y")'
    vector = "Vectors.dense(row)"

    def preamble(self) -> Lines:
        """The session."""
        return ['spark = SparkSession.builder.master("local[1]").getOrCreate()']

    def build(self) -> Lines:
        """The function that makes a data frame."""
        rows = f"[({self.vector},) for row in table.astype(float)]"
        frame = f'return spark.createDataFrame({rows}, StructType().add("x", VectorUDT()))'
        return [*super().build(), block("def frame(table):", [frame])]

    def call(self, step: Step, y: str) -> Lines:
        """A fit or a transform; nothing for an inverse, which Spark does not have, nor for what leaves a fit as it is."""
        idle = step.call.kind == "inverse" or (step.call.kind != "fit" and self.wanted in ("mean", "var"))
        return [] if idle else super().call(step, y)

    def fitted(self, tables: Sequence[str]) -> Lines:
        """``fit``."""
        first, *rest = [f"frame({table})" for table in tables]
        return [f"scaler = {self.made}.fit({first}{''.join(f'.union({more})' for more in rest)})"]

    def applied(self, kind: str, table: str) -> str:
        """``transform``."""
        return f"np.array([row.y for row in scaler.transform(frame({table})).collect()])"

    def variable(self, name: str) -> str:
        """``mean``, and the square of ``std``."""
        return {"mean": "scaler.mean.toArray()", "var": "np.square(scaler.std.toArray())"}.get(name, name)


class SparkSparseWriter(SparkWriter):
    """The same, of sparse vectors."""

    vector = "Vectors.sparse(len(row), np.flatnonzero(row), row[row != 0])"
