"""Which class writes the repro scripts of each Keras backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.keras.harness.arrays_writer import KerasNumpyWriter, KerasOpsNumpyWriter
from bnspec.backends.keras.harness.normalization_writer import (
    ArrayWriter,
    CloneWriter,
    JaxCloneWriter,
    JaxTensorWriter,
    TensorWriter,
    TorchTensorWriter,
)
from bnspec.backends.keras.harness.ops_writer import KerasOpsJaxWriter, KerasOpsTorchWriter, KerasOpsWriter
from bnspec.backends.keras.harness.other_backends_writer import (
    KerasJaxWriter,
    KerasTorchRematWriter,
    KerasTorchWriter,
)
from bnspec.backends.keras.harness.synchronized_writer import SynchronizedWriter
from bnspec.backends.keras.harness.writer import KerasWriter, RematWriter

WRITERS: Mapping[str, type[Writer]] = {
    "keras": KerasWriter,
    "keras.synchronized": SynchronizedWriter,
    "keras.torch": KerasTorchWriter,
    "keras.jax": KerasJaxWriter,
    "keras.numpy": KerasNumpyWriter,
    "keras.ops": KerasOpsWriter,
    "keras.ops.jax": KerasOpsJaxWriter,
    "keras.ops.numpy": KerasOpsNumpyWriter,
    "keras.ops.torch": KerasOpsTorchWriter,
    "keras.remat": RematWriter,
    "keras.torch.remat": KerasTorchRematWriter,
    "keras.adapt.array": ArrayWriter,
    "keras.adapt": TensorWriter,
    "keras.adapt.clone": CloneWriter,
    "keras.jax.adapt.clone": JaxCloneWriter,
    "keras.torch.adapt": TorchTensorWriter,
    "keras.jax.adapt": JaxTensorWriter,
}
