"""``pyspark``: pyspark.ml.feature.StandardScaler with withMean and withStd, in local mode.

    pyspark          of dense vectors
    pyspark.sparse   of sparse vectors, which store no zeros

Each chunk of the training set is a partition of the data frame. Everything is float64, whatever x is; the standard deviation is
that of a sample, with the divisor n - 1. There is no inverse. One Spark session serves the whole process.

Source: https://spark.apache.org/docs/latest/api/python/reference/api/pyspark.ml.feature.StandardScaler.html
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from typing import Any, Dict, List, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, DeviceAbsent, LayerConfig, State

#: Why there is no Spark.
NO_JAVA = "Spark runs in Java, and there is no java in JAVA_HOME or PATH"

#: One core, nothing shown, nothing asked of the network, and no file in the working directory.
SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def has_java() -> bool:
    """Whether Spark would find a Java."""
    home = os.environ.get("JAVA_HOME")
    return bool(shutil.which(os.path.join(home, "bin", "java")) if home else shutil.which("java"))


class Spark(ScalerAdapter):
    """The scaler, given data frames of dense vectors."""

    framework = "pyspark"
    conventions = Conventions(
        dtypes=("float64", "float32", "float16"),
        half_parameters=("float32", "input"),
        input_normalization=True,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        if not has_java():
            raise DeviceAbsent(NO_JAVA)
        from pyspark.ml import feature, linalg
        from pyspark.sql import SparkSession, types

        builder = SparkSession.builder.master("local[1]").config("spark.sql.warehouse.dir", tempfile.gettempdir())
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        self.spark, self.vectors = builder.getOrCreate(), linalg.Vectors
        self.spark.sparkContext.setLogLevel("OFF")
        self.schema = types.StructType([types.StructField("x", linalg.VectorUDT())])
        self.made = functools.partial(feature.StandardScaler, withMean=True, inputCol="x", outputCol="y")
        self.made().fit(self.frame(np.eye(2)))  # the first fit compiles, which takes longer than a case may

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """Spark's local mode, where there is a Java."""
        return {"cpu": "ready" if has_java() else "absent: " + NO_JAVA}

    def frame(self, table: Any) -> Any:
        """The table as a data frame of one partition."""
        rows = [(self.vector(row),) for row in np.asarray(table, np.float64)]
        return self.spark.createDataFrame(rows, self.schema, verifySchema=False)

    def vector(self, row: Any) -> Any:
        """A row as a vector."""
        return self.vectors.dense(row)

    def scaler(self, config: LayerConfig) -> SparkScaler:
        """A ``StandardScaler``."""
        return SparkScaler(config, self)


class SparkSparse(Spark):
    """The same, given data frames of sparse vectors."""

    def vector(self, row: Any) -> Any:
        """A row as a vector of its values that are not zero."""
        places = np.flatnonzero(row)
        return self.vectors.sparse(len(row), places, row[places])


class SparkScaler(TableScaler):
    """One ``StandardScaler``, and the ``StandardScalerModel`` that it fits."""

    def __init__(self, config: LayerConfig, owner: Spark) -> None:
        super().__init__(config)
        self.owner = owner
        self.model: Any = None

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit`` of one data frame with these partitions."""
        self.model = None
        frames = [self.owner.frame(table) for table in tables]
        self.model = self.owner.made().fit(functools.reduce(lambda first, second: first.union(second), frames))

    def transform_rows(self, table: Any) -> Any:
        """``transform``. Raises RuntimeError: a scaler that is not fitted has no such method."""
        if self.model is None:
            raise RuntimeError("there is no model before a fit")
        found: List[Any] = self.model.transform(self.owner.frame(table)).select("y").collect()
        return np.array([row.y.toArray() for row in found], np.float64).reshape(-1, self.config.channels)

    def statistics(self) -> State:
        """``mean``, and the square of ``std``."""
        return State(self.model.mean.toArray(), np.square(self.model.std.toArray()))
