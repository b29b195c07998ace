"""``vaex``: vaex.ml.StandardScaler, fitted to the concatenation of the chunks' data frames.

Missing values are left out. Statistics are float64, whatever x is. There is no inverse.

Source: https://vaex.io/docs/api.html#vaex.ml.transformations.StandardScaler
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, Sequence

import numpy as np

from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, Declined, LayerConfig, State

#: 64 features take 7 seconds of a processor, 16 take 0.3.
MOST_FEATURES = 32


class Vaex(ScalerAdapter):
    """The scaler, given data frames."""

    framework = "vaex"
    conventions = Conventions(
        dtypes=("float64", "float32"),
        input_normalization=True,
        input_missing=True,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.vaex = importlib.import_module("vaex")
        self.made = importlib.import_module("vaex.ml").StandardScaler

    def versions(self) -> Dict[str, str]:
        """The versions of vaex-core and vaex-ml."""
        return {"vaex": str(self.vaex.__version__["vaex-core"]), "vaex-ml": str(self.vaex.__version__["vaex-ml"])}

    def frame(self, table: Any) -> Any:
        """The table as a data frame."""
        return self.vaex.from_arrays(**{n: np.ascontiguousarray(a) for n, a in zip(names(table.shape[1]), table.T)})

    def scaler(self, config: LayerConfig) -> VaexScaler:
        """A ``StandardScaler``. Raises Declined: it would take minutes."""
        if config.channels > MOST_FEATURES:
            raise Declined(
                "the time of a fit grows faster than the square of the number of features: minutes for some hundred"
            )
        return VaexScaler(config, self)


def names(count: int) -> Any:
    """The names of columns."""
    return ["x%d" % c for c in range(count)]


class VaexScaler(TableScaler):
    """One ``StandardScaler``."""

    def __init__(self, config: LayerConfig, owner: Vaex) -> None:
        super().__init__(config)
        self.owner, self.wrapped = owner, owner.made(features=names(config.channels))

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """``fit`` of a new scaler."""
        frames = [self.owner.frame(table) for table in tables]
        self.wrapped = self.owner.made(features=names(self.config.channels))
        self.wrapped.fit(frames[0] if len(frames) == 1 else self.owner.vaex.concat(frames))

    def transform_rows(self, table: Any) -> Any:
        """``transform``."""
        frame = self.wrapped.transform(self.owner.frame(table))
        return np.stack([frame["standard_scaled_" + n].to_numpy() for n in names(self.config.channels)], axis=1)

    def statistics(self) -> State:
        """``mean_``, and the square of ``std_``."""
        return State(np.array(self.wrapped.mean_), np.square(self.wrapped.std_))
