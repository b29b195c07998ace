"""Which class writes the repro scripts of each pyspark backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.pyspark.harness.writer import SparkSparseWriter, SparkWriter

WRITERS: Mapping[str, type[Writer]] = {"pyspark": SparkWriter, "pyspark.sparse": SparkSparseWriter}
