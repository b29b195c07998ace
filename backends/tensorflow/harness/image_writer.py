"""Scripts in TensorFlow: ``tf.image.per_image_standardization``."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter
from bnspec.backends.harness.scripts.statements import Lines


class ImageWriter(RowsWriter):
    """The function; the columns of a table are images of one channel."""

    packages = ("tensorflow",)
    imports = ("import tensorflow as tf",)
    environment = "CUDA_VISIBLE_DEVICES="

    def fitted(self, tables: Sequence[str]) -> Lines:
        """Nothing. Raises NoScript: the statistics are asked for."""
        if self.wanted in ("mean", "var"):
            raise NoScript("the function returns no statistics")
        return []

    def applied(self, kind: str, table: str) -> str:
        """The function of the columns. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("the function has no inverse")
        return f"tf.image.per_image_standardization({table}.T[:, None, :, None]).numpy()[:, 0, :, 0].T"

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return name
