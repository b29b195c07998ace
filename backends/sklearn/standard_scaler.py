"""``sklearn.fit`` and ``sklearn.partial_fit``: sklearn.preprocessing.StandardScaler, fitted at once or chunk by chunk; and
``sklearn.scale``: the function sklearn.preprocessing.scale.

``sklearn.csr``, ``sklearn.csr.parts`` and ``sklearn.csc``: a StandardScaler of sparse matrices, which are not centred, so what is asked
of them is the fit. The values of a matrix are what its ``toarray`` says: entries of one place are added, as where it was assembled
from parts. ``sklearn.weighted`` is fitted with weights, and ``sklearn.array_api`` to arrays of the array API.

Statistics are float64 whatever x is. A feature whose variance is rounding noise counts as constant and is divided by 1.

Source: https://scikit-learn.org/stable/modules/generated/sklearn.preprocessing.StandardScaler.html and
https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.csr_matrix.html
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from typing import Any, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScaledTable, ScalerAdapter, TableScaler
from bnspec.contract import Conventions, Declined, LayerConfig, State

CONVENTIONS = Conventions(
    dtypes=("float64", "float32", "float16"),
    half_parameters=("float32", "input"),
    input_normalization=True,
    input_missing=True,
    integers=True,
)

#: The weight of every row, where there are weights; a product by it is exact.
WEIGHT = 2.0**-20
#: Why there is no transform to compare.
NOT_CENTRED = "sparse matrices are scaled, and not centred"


class SklearnFit(ScalerAdapter):
    """``fit`` of the whole training set."""

    framework = "sklearn"
    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from sklearn.preprocessing import StandardScaler

        self.made = StandardScaler

    def scaler(self, config: LayerConfig) -> TableScaler:
        """A ``StandardScaler``."""
        return FittedScaler(config, self.made)


class SklearnPartialFit(SklearnFit):
    """``partial_fit`` of one chunk after the other."""

    def scaler(self, config: LayerConfig) -> PartiallyFittedScaler:
        """A ``StandardScaler``."""
        return PartiallyFittedScaler(config, self.made)


class SklearnScale(SklearnFit):
    """The function ``scale``, of a whole training set by its own statistics."""

    conventions = dataclasses.replace(CONVENTIONS, input_missing=False)

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from sklearn.preprocessing import scale

        self.function = scale

    def scaler(self, config: LayerConfig) -> ScaledTable:
        """The function, for one table."""
        return ScaledTable(config, self.function)


class SklearnCsr(SklearnFit):
    """Rows in compressed form, one entry a place."""

    parts = 1
    conventions = dataclasses.replace(CONVENTIONS, dtypes=("float64", "float32"), half_parameters=("float32",))

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.matrix = importlib.import_module("scipy.sparse").csr_matrix  # scikit-learn needs SciPy

    def scaler(self, config: LayerConfig) -> SparseScaler:
        """A ``StandardScaler``."""
        return SparseScaler(config, self)


class SklearnCsrParts(SklearnCsr):
    """Every value as two entries of one place, each half of it."""

    parts = 2


class SklearnCsc(SklearnCsr):
    """Columns in compressed form, one entry a place: other code than that of rows."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.matrix = importlib.import_module("scipy.sparse").csc_matrix

    def scaler(self, config: LayerConfig) -> SparseScaler:
        """A ``StandardScaler``."""
        return ColumnsScaler(config, self)


class SklearnWeighted(SklearnFit):
    """``partial_fit`` with one small ``sample_weight`` for every row, which weighs all alike."""

    def scaler(self, config: LayerConfig) -> WeightedScaler:
        """A ``StandardScaler``."""
        return WeightedScaler(config, self.made)


class SklearnArrayApi(SklearnFit):
    """``fit`` by the array API: of arrays of ``array_api_strict``, which has nothing but that."""

    conventions = dataclasses.replace(CONVENTIONS, dtypes=("float64", "float32"), half_parameters=("float32",))

    def __init__(self, device: str = "cpu") -> None:
        os.environ["SCIPY_ARRAY_API"] = "1"  # SciPy reads it on import
        super().__init__(device)
        importlib.import_module("sklearn").set_config(array_api_dispatch=True)
        self.strict = importlib.import_module("array_api_strict")

    def scaler(self, config: LayerConfig) -> StrictScaler:
        """A ``StandardScaler``."""
        return StrictScaler(config, self)


class FittedScaler(TableScaler):
    """One ``StandardScaler``, fitted once."""

    def __init__(self, config: LayerConfig, made: Any) -> None:
        super().__init__(config)
        self.made, self.wrapped = made, made()

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit``."""
        self.wrapped = self.made().fit(np.concatenate(tables))

    def transform_rows(self, table: Any) -> Any:
        """``transform``."""
        return self.wrapped.transform(table)

    def inverse_rows(self, table: Any) -> Any:
        """``inverse_transform``."""
        return self.wrapped.inverse_transform(table)

    def statistics(self) -> State:
        """``mean_`` and ``var_``."""
        return State(self.wrapped.mean_, self.wrapped.var_)


class PartiallyFittedScaler(FittedScaler):
    """One ``StandardScaler``, fitted chunk by chunk."""

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``partial_fit`` of a new scaler; a chunk without rows, which scikit-learn refuses, is left out by its user."""
        self.wrapped = self.made()
        for table in [t for t in tables if len(t)] or tables:
            self.wrapped.partial_fit(table)


class WeightedScaler(FittedScaler):
    """One ``StandardScaler``, fitted chunk by chunk with weights."""

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``partial_fit`` of a new scaler; a chunk without rows, which scikit-learn refuses, is left out by its user."""
        self.wrapped = self.made()
        for table in [t for t in tables if len(t)] or tables:
            self.wrapped.partial_fit(table, sample_weight=np.full(len(table), WEIGHT))


class StrictScaler(FittedScaler):
    """One ``StandardScaler``, given arrays of the array API."""

    def __init__(self, config: LayerConfig, owner: SklearnArrayApi) -> None:
        super().__init__(config, owner.made)
        self.array = owner.strict.asarray

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit``."""
        self.wrapped = self.made().fit(self.array(np.concatenate(tables)))

    def transform_rows(self, table: Any) -> Any:
        """``transform``."""
        return np.asarray(self.wrapped.transform(self.array(table)))

    def inverse_rows(self, table: Any) -> Any:
        """``inverse_transform``."""
        return np.asarray(self.wrapped.inverse_transform(self.array(table)))

    def statistics(self) -> State:
        """``mean_`` and ``var_``."""
        return State(np.asarray(self.wrapped.mean_), np.asarray(self.wrapped.var_))


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


class ColumnsScaler(SparseScaler):
    """The same, of matrices whose columns are in compressed form."""

    def sparse(self, table: Any) -> Any:
        """The table as a matrix; zeros are not stored."""
        return self.owner.matrix(table)
