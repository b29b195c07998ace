"""Which class writes the repro scripts of the MLX backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.mlx.harness.writer import CheckpointWriter, MlxWriter, UnfrozenWriter

WRITERS: Mapping[str, type[Writer]] = {
    "mlx": MlxWriter,
    "mlx.checkpoint": CheckpointWriter,
    "mlx.unfrozen": UnfrozenWriter,
}
