"""Which class writes the repro scripts of each scikit-learn backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.sklearn.harness.writer import (
    ArrayApiWriter,
    CscWriter,
    CsrPartsWriter,
    CsrWriter,
    FitWriter,
    PartialFitWriter,
    ScaleWriter,
    WeightedWriter,
)

WRITERS: Mapping[str, type[Writer]] = {
    "sklearn.fit": FitWriter,
    "sklearn.partial_fit": PartialFitWriter,
    "sklearn.scale": ScaleWriter,
    "sklearn.csr": CsrWriter,
    "sklearn.csr.parts": CsrPartsWriter,
    "sklearn.csc": CscWriter,
    "sklearn.weighted": WeightedWriter,
    "sklearn.array_api": ArrayApiWriter,
}
