"""Which class writes the repro scripts of each JAX backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.jax.harness.nn_writer import ScaledWriter, StableWriter, StandardizeWriter
from bnspec.backends.jax.harness.numpy_writer import JaxEagerWriter, JaxNumpyWriter
from bnspec.backends.jax.harness.stablehlo_writer import StablehloWriter

WRITERS: Mapping[str, type[Writer]] = {
    "jax.numpy": JaxNumpyWriter,
    "jax.numpy.eager": JaxEagerWriter,
    "jax.nn": StandardizeWriter,
    "jax.nn.stable": StableWriter,
    "jax.nn.scaled": ScaledWriter,
    "jax.stablehlo": StablehloWriter,
}
