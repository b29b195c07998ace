"""Which class writes the repro scripts of the Ray Data backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.ray_data.harness.writer import RayWriter

WRITERS: Mapping[str, type[Writer]] = {"ray.data": RayWriter}
