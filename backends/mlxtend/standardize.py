"""``mlxtend``: mlxtend.preprocessing.standardize, whose parameters of the training set are given to later calls.

Everything is float64, whatever x is. There is no inverse.

Source: https://rasbt.github.io/mlxtend/user_guide/preprocessing/standardize/
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, LayerConfig, State


class Mlxtend(ScalerAdapter):
    """The function, given NumPy arrays."""

    framework = "mlxtend"
    conventions = Conventions(
        dtypes=("float64", "float32", "float16"),
        half_parameters=("float32", "input"),
        input_normalization=True,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from mlxtend.preprocessing import standardize

        self.function = standardize

    def scaler(self, config: LayerConfig) -> StandardizingScaler:
        """The function and the parameters that it returns."""
        return StandardizingScaler(config, self.function)


class StandardizingScaler(TableScaler):
    """The function, and the dictionary of "avgs" and "stds" of the training set."""

    def __init__(self, config: LayerConfig, function: Any) -> None:
        super().__init__(config)
        self.function = function
        self.fitted: Any = None

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``return_params=True``."""
        _, self.fitted = self.function(np.concatenate(tables), return_params=True)

    def transform_rows(self, table: Any) -> Any:
        """``params``. Raises RuntimeError: there are none, and the function would take those of the table."""
        if self.fitted is None:
            raise RuntimeError("there are no parameters yet")
        return self.function(table, params=self.fitted)

    def statistics(self) -> State:
        """The entry "avgs", and the square of the entry "stds"."""
        return State(np.array(self.fitted["avgs"]), np.square(self.fitted["stds"]))
