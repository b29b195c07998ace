"""``tensorflow.image``: the function ``tf.image.per_image_standardization``, of whole training sets by their own statistics.

Each feature is an image of one channel, with its samples along the width: the function normalises an image by the mean and the standard
deviation of all of it. It computes in float32, and so is its result.

Source: https://www.tensorflow.org/api_docs/python/tf/image/per_image_standardization
"""

from __future__ import annotations

import importlib
from typing import Any, Dict

import numpy as np

from bnspec.backends.worker.scaler_rows import ScaledTable, ScalerAdapter
from bnspec.contract import Conventions, LayerConfig


class TensorflowImage(ScalerAdapter):
    """The function, eager, on the CPU."""

    framework = "tensorflow"
    conventions = Conventions(dtypes=("float32",), integers=True, input_normalization=True)

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.tf = importlib.import_module("tensorflow")

    def versions(self) -> Dict[str, str]:
        """Versions of TensorFlow and of NumPy."""
        return {"tensorflow": str(self.tf.__version__), "numpy": str(np.__version__)}

    def scaler(self, config: LayerConfig) -> ScaledTable:
        """The function, for one table."""
        return ScaledTable(config, self.scaled)

    def scaled(self, table: Any) -> Any:
        """The columns of a table as images, standardized."""
        images = self.tf.convert_to_tensor(np.array(table.T, order="C")[:, None, :, None])
        return self.tf.image.per_image_standardization(images).numpy()[:, 0, :, 0].T
