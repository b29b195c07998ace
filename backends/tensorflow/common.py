"""Shared by the TensorFlow adapters: opening a device, tensors in and out, and derivatives by tapes.

Everything is eager. The framework is imported when an adapter is created or asked for its devices.
"""

from __future__ import annotations

import abc
import importlib
import os
import tempfile
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from bnspec.backends.tensorflow import dlpack
from bnspec.backends.tensorflow.instruments import TensorflowInstruments
from bnspec.backends.worker.mode_layer import GRADIENTS, LayerByMode
from bnspec.contract import Adapter, Declined, DeviceAbsent, Gradients, SecondOrder, Tangent
from bnspec.model.call import Mode

#: How many logical devices are made of the CPU at most, which has any number.
LOGICAL_DEVICES = 8


def devices_of(tf: Any) -> Dict[str, str]:
    """The kinds of device this TensorFlow knows, each "ready" or "absent: " and the reason."""
    if tf.config.list_physical_devices("GPU"):
        return {"cpu": "ready", "gpu": "ready"}
    reason = "absent: tf.config.list_physical_devices('GPU') is empty"
    if not tf.test.is_built_with_cuda():
        reason += "; this build has no CUDA (tf.test.is_built_with_cuda() is False)"
    return {"cpu": "ready", "gpu": reason}


def open_device(tf: Any, device: str) -> str:
    """Make ``device`` the one that eager operations run on, and return TensorFlow's name of it.

    Args:
        device: "cpu", or "gpu" or "cuda" with an index, as in "gpu:0". "cpu:1" is the second logical device of the CPU, and so on:
            they are made here, before TensorFlow runs.
    Raises: DeviceAbsent: no such device.
    """
    kind, _, index = device.partition(":")
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "cpu" and (index or "0").isdigit():
        if gpus:  # with a visible GPU, an operation on CPU tensors would still run there
            tf.config.set_visible_devices([], "GPU")
        return "/CPU:0" if int(index or 0) == 0 else open_logical_device(tf, int(index))
    if kind not in ("gpu", "cuda") or not (index or "0").isdigit():
        raise DeviceAbsent("%s: TensorFlow's devices are cpu and gpu:N" % device)
    if not gpus:
        raise DeviceAbsent("%s: %s" % (device, devices_of(tf)["gpu"][len("absent: ") :]))
    if int(index or 0) >= len(gpus):
        raise DeviceAbsent("%s: tf.config.list_physical_devices('GPU') has %d entries" % (device, len(gpus)))
    chosen = gpus[int(index or 0)]
    tf.config.set_visible_devices([chosen], "GPU")  # the only visible GPU is number 0
    tf.config.experimental.set_memory_growth(chosen, True)
    return "/GPU:0"


def open_logical_device(tf: Any, number: int) -> str:
    """Make logical devices of the CPU up to this number, run eager operations on that one, and return TensorFlow's name of it.

    Raises: DeviceAbsent: the number is not below LOGICAL_DEVICES, or TensorFlow has run with fewer.
    """
    if number >= LOGICAL_DEVICES:
        raise DeviceAbsent("cpu:%d: at most %d logical devices are made of the CPU" % (number, LOGICAL_DEVICES))
    (cpu,) = tf.config.list_physical_devices("CPU")
    if len(tf.config.get_logical_device_configuration(cpu) or ()) <= number:
        devices = [tf.config.LogicalDeviceConfiguration() for _ in range(number + 1)]
        try:
            tf.config.set_logical_device_configuration(cpu, devices)
        except RuntimeError as error:
            raise DeviceAbsent("cpu:%d: %s" % (number, error)) from None
    place = "/CPU:%d" % number
    tf.device(place).__enter__()  # for as long as this process lives: an operation goes to the first device by default
    return place


class TensorflowAdapter(Adapter):
    """TensorFlow on one device. Subclasses define ``conventions`` and ``layer``."""

    framework = "tensorflow"

    def __init__(self, device: str = "cpu") -> None:
        self.tf = importlib.import_module("tensorflow")
        self.place = open_device(self.tf, device)
        self.device = device

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """The CPU, and GPUs where this build and machine have them."""
        return devices_of(importlib.import_module("tensorflow"))

    def versions(self) -> Dict[str, str]:
        """Version of each package involved."""
        packages = sorted({self.framework, "tensorflow", "numpy"})
        return {name: str(importlib.import_module(name).__version__) for name in packages}

    def ran_on(self) -> Dict[str, str]:
        """The GPU, and the CUDA and cuDNN releases that this build was made for."""
        if self.place.startswith("/CPU"):
            return {}
        build = self.tf.sysconfig.get_build_info()
        found = {**super().ran_on(), **{n: str(build[n]) for n in ("cuda_version", "cudnn_version") if n in build}}
        enabled = self.tf.config.experimental.tensor_float_32_execution_enabled()
        return {**found, "tf32": "on" if enabled else "off"}

    def threads(self) -> Optional[int]:
        """The number of threads within one operation; None if TensorFlow chooses."""
        return self.tf.config.threading.get_intra_op_parallelism_threads() or None

    def instruments(self) -> TensorflowInstruments:
        """TensorFlow's instruments."""
        return TensorflowInstruments(self.tf, self.place, self.synchronize)

    def tensor(self, array: np.ndarray) -> Any:
        """A packed tensor on the device; TensorFlow has no strides and copies."""
        with self.tf.device(self.place):
            return self.tf.convert_to_tensor(array)

    def array(self, tensor: Any) -> np.ndarray:
        """The values of a tensor or variable; on the CPU a read-only view of its memory."""
        return np.asarray(self.value(tensor))

    def value(self, tensor: Any) -> Any:
        """The tensor, or the one that a variable holds."""
        return tensor if isinstance(tensor, self.tf.Tensor) else self.tf.convert_to_tensor(tensor)

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """From DLPack's pointer of the tensor, or of a variable's value; unknown for dtypes that DLPack lacks."""
        try:
            value = self.value(tensor)
            capsule = self.tf.experimental.dlpack.to_dlpack(value)
        except (self.tf.errors.InvalidArgumentError, RuntimeError, TypeError):
            return None
        start = dlpack.address(capsule)
        return start, start + int(value.dtype.size) * int(value.shape.num_elements())

    def synchronize(self, result: Any) -> None:
        """Wait for the GPU; on the CPU an eager operation is complete when it returns."""
        if not self.place.startswith("/CPU"):
            self.tf.test.experimental.sync_devices()

    def use_threads(self, count: int) -> None:
        """Raises Declined."""
        raise Declined("TensorFlow fixes its threads when it runs its first operation")


class TensorflowLayer(LayerByMode):
    """The derivatives of the contract, by tapes. Subclasses define both forward passes, ``parameters`` and ``state``."""

    def __init__(self, tf: Any) -> None:
        self.tf = tf

    @abc.abstractmethod
    def parameters(self) -> Sequence[Any]:
        """gamma and beta; empty without affine or if they are not trainable."""

    def forward(self, mode: Mode) -> Callable[[Any], Any]:
        """The forward pass in ``mode``."""
        return self.training if mode == "training" else self.inference

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """Forward and backward."""
        return self.gradients_of(self.forward(mode), x, dy)

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """The same, with a training step that is not recorded before the backward pass."""

        def forward(x: Any) -> Any:
            y = self.forward(mode)(x)
            self.training(other)
            return y

        return self.gradients_of(forward, x, dy)

    def gradients_of(self, forward: Callable[[Any], Any], x: Any, dy: Any) -> Gradients:
        """One recorded forward pass and its backward pass from dy.

        Args:
            forward: y of x, in the requested mode.
            x, dy: tensors of one shape.
        Raises: RuntimeError: the tape found no path from y to x or to a parameter.
        """
        parameters = self.parameters()
        with self.tf.GradientTape() as tape:
            tape.watch([x, *parameters])
            y = forward(x)
        found = connected(tape.gradient(y, [x, *parameters], output_gradients=dy), GRADIENTS)
        dgamma, dbeta = found[1:] if parameters else (None, None)
        return Gradients(y, found[0], dgamma, dbeta)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """Forward and backward with a tape that watches only the wanted sources."""
        sources = {n: t for n, t in zip(GRADIENTS, [x, *self.parameters()]) if n in wanted}
        with self.tf.GradientTape(watch_accessed_variables=False) as tape:
            for source in sources.values():
                tape.watch(source)
            y = self.forward(mode)(x)
        names = tuple(sources)
        found = dict(zip(names, connected(tape.gradient(y, list(sources.values()), output_gradients=dy), names)))
        return Gradients(y, *(found.get(name) for name in GRADIENTS))

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """A tape around a tape; a source unconnected to dx has gradient 0."""
        sources = [x, dy, *self.parameters()[:1]]
        with self.tf.GradientTape() as outer:
            outer.watch(sources)
            with self.tf.GradientTape() as inner:
                inner.watch(x)
                y = self.forward(mode)(x)
            dx = inner.gradient(y, x, output_gradients=dy)
        zero = self.tf.UnconnectedGradients.ZERO
        by_x, by_dy, *by_gamma = outer.gradient(dx, sources, output_gradients=v, unconnected_gradients=zero)
        return SecondOrder(by_x, by_dy, *(by_gamma or [None]))

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """A tape around a tape around a tape; where dx does not depend on x, as of a frozen layer, its gradient is 0."""
        zero = self.tf.UnconnectedGradients.ZERO
        with self.tf.GradientTape() as third:
            third.watch(x)
            with self.tf.GradientTape() as second:
                second.watch(x)
                with self.tf.GradientTape() as first:
                    first.watch(x)
                    y = self.training(x)
                dx = first.gradient(y, x, output_gradients=dy)
            by_x = second.gradient(dx, x, output_gradients=v, unconnected_gradients=zero)
        return third.gradient(by_x, x, output_gradients=v, unconnected_gradients=zero)

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """A tape around a forward accumulator; where the tangent does not depend on x, its gradient is 0."""
        zero = self.tf.UnconnectedGradients.ZERO
        with self.tf.GradientTape() as tape:
            tape.watch(x)
            with self.tf.autodiff.ForwardAccumulator(x, v) as accumulator:
                y = self.training(x)
            (along,) = connected([accumulator.jvp(y)], ("y along v",))
        return tape.gradient(along, x, output_gradients=dy, unconnected_gradients=zero)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """y and its Jacobian-vector product by a forward accumulator."""
        with self.tf.autodiff.ForwardAccumulator(x, v) as accumulator:
            y = self.forward(mode)(x)
        (along,) = connected([accumulator.jvp(y)], ("y along v",))
        return Tangent(y, along)


def connected(found: Sequence[Any], names: Sequence[str]) -> Sequence[Any]:
    """The derivatives. Raises RuntimeError: TensorFlow found no path to one of the sources."""
    for name, derivative in zip(names, found):
        if derivative is None:
            raise RuntimeError("TensorFlow returned None for %s: y is not connected to it" % name)
    return found


def checkpointed(tf: Any, variables: Mapping[str, Any]) -> Dict[str, Any]:
    """New variables, with these values saved and read back by ``tf.train.Checkpoint``."""
    new = {name: tf.Variable(tf.zeros_like(v), trainable=v.trainable) for name, v in variables.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(**variables).write(os.path.join(folder, "layer"))
        tf.train.Checkpoint(**new).read(path).assert_consumed()
    return new
