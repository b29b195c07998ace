"""Which class writes the repro scripts of each Flax backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.flax.harness.linen_writer import (
    DtypeLinenWriter,
    LinenReplicasWriter,
    LinenWriter,
    StableLinenWriter,
)
from bnspec.backends.flax.harness.nnx_writer import DtypeFlaxWriter, FlaxWriter, StableFlaxWriter
from bnspec.backends.flax.harness.replicas_writer import NnxReplicasWriter
from bnspec.backends.harness.scripts.writer import Writer

WRITERS: Mapping[str, type[Writer]] = {
    "flax.nnx": FlaxWriter,
    "flax.nnx.stable": StableFlaxWriter,
    "flax.nnx.dtype": DtypeFlaxWriter,
    "flax.nnx.replicas": NnxReplicasWriter,
    "flax.linen": LinenWriter,
    "flax.linen.stable": StableLinenWriter,
    "flax.linen.dtype": DtypeLinenWriter,
    "flax.linen.replicas": LinenReplicasWriter,
}
