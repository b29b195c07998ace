"""``sklearn.csr`` and ``sklearn.csr.parts``: sklearn.preprocessing.StandardScaler of sparse matrices, chunk by chunk.

Sparse matrices are not centred, so ``with_mean`` is False, and what is asked of them is the fit. The values of a matrix are what its
``toarray`` says: entries of one place are added, as in matrices that were assembled from parts.

Source: https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.csr_matrix.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Sequence

import numpy as np

from bnspec.backends.sklearn.standard_scaler import CONVENTIONS, PartiallyFittedScaler, SklearnFit
from bnspec.contract import Declined, LayerConfig

#: Why there is no transform to compare.
NOT_CENTRED = "sparse matrices are scaled, and not centred"


class SklearnCsr(SklearnFit):
    """Rows in compressed form, one entry a place."""

    parts = 1
    conventions = dataclasses.replace(CONVENTIONS, dtypes=("float64", "float32"), half_parameters=("float32",))

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from scipy.sparse import csr_matrix

        self.matrix = csr_matrix

    def scaler(self, config: LayerConfig) -> SparseScaler:
        """A ``StandardScaler``."""
        return SparseScaler(config, self)


class SklearnCsrParts(SklearnCsr):
    """Every value as two entries of one place, each half of it."""

    parts = 2


class SparseScaler(PartiallyFittedScaler):
    """One ``StandardScaler``, and how tables become matrices."""

    def __init__(self, config: LayerConfig, owner: SklearnCsr) -> None:
        super().__init__(config, lambda: owner.made(with_mean=False))
        self.owner = owner

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``partial_fit`` of the matrices."""
        self.wrapped = self.made()
        for table in [t for t in tables if len(t)] or tables:
            self.wrapped.partial_fit(self.sparse(np.asarray(table)))

    def sparse(self, table: Any) -> Any:
        """The table as a matrix; zeros are not stored."""
        plain, parts = self.owner.matrix(table), self.owner.parts
        data = np.repeat(plain.data / plain.data.dtype.type(parts), parts)
        return self.owner.matrix((data, np.repeat(plain.indices, parts), plain.indptr * parts), shape=table.shape)

    def transform_rows(self, table: Any) -> Any:
        """Raises Declined."""
        raise Declined(NOT_CENTRED)

    def inverse_rows(self, table: Any) -> Any:
        """Raises Declined."""
        raise Declined(NOT_CENTRED)
