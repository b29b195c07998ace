"""Which class writes the repro scripts of the dask-ml backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.dask_ml.harness.writer import DaskWriter, FrameWriter, NumpyTransformWriter, ReorderedWriter
from bnspec.backends.harness.scripts.writer import Writer

WRITERS: Mapping[str, type[Writer]] = {
    "dask_ml": DaskWriter,
    "dask_ml.dataframe": FrameWriter,
    "dask_ml.reordered": ReorderedWriter,
    "dask_ml.numpy": NumpyTransformWriter,
}
