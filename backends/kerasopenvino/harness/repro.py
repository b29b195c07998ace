"""Which class writes the repro scripts of Keras on OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.kerasopenvino.harness.writer import KerasOpenvinoWriter

WRITERS: Mapping[str, type[Writer]] = {"keras.openvino": KerasOpenvinoWriter}
