"""What the adapters on TensorFlow share: opening a device, tensors in and out, and gradients by a tape.

Everything is eager. The framework is imported when an adapter is created or asked for its devices.
"""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict, Optional, Sequence

import numpy as np

from bnspec.contract import Adapter, DeviceAbsent, Gradients


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
        device: "cpu", or "gpu" or "cuda" with an index, as in "gpu:0".
    Raises: DeviceAbsent: no such device.
    """
    kind, _, index = device.partition(":")
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "cpu" and index in ("", "0"):
        if gpus:  # with a GPU in sight an operation on tensors of the CPU would still run there
            tf.config.set_visible_devices([], "GPU")
        return "/CPU:0"
    if kind not in ("gpu", "cuda") or not (index or "0").isdigit():
        raise DeviceAbsent("%s: TensorFlow's devices are cpu and gpu:N" % device)
    if not gpus:
        raise DeviceAbsent("%s: %s" % (device, devices_of(tf)["gpu"][len("absent: ") :]))
    if int(index or 0) >= len(gpus):
        raise DeviceAbsent("%s: tf.config.list_physical_devices('GPU') has %d entries" % (device, len(gpus)))
    chosen = gpus[int(index or 0)]
    tf.config.set_visible_devices([chosen], "GPU")  # the only one in sight is number 0
    tf.config.experimental.set_memory_growth(chosen, True)
    return "/GPU:0"


def gradients(tf: Any, forward: Callable[[Any], Any], x: Any, dy: Any, parameters: Sequence[Any]) -> Gradients:
    """One recorded forward pass and its backward pass from dy.

    Args:
        forward: y of x, in the mode that is asked for.
        x, dy: tensors of one shape.
        parameters: gamma and beta, or nothing.
    Raises: RuntimeError: the tape found no path from y to x or to a parameter.
    """
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = forward(x)
    found = tape.gradient(y, [x] + list(parameters), output_gradients=dy)
    for i, gradient in enumerate(found):
        if gradient is None:
            raise RuntimeError(
                "tape.gradient returned None for %s: y is not connected to it" % Gradients._fields[1 + i]
            )
    dgamma, dbeta = found[1:] if parameters else (None, None)
    return Gradients(y, found[0], dgamma, dbeta)


class TensorflowAdapter(Adapter):
    """An adapter on TensorFlow tensors that has yet to say which layers it builds."""

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

    def threads(self) -> Optional[int]:
        """Threads within one operation; None where TensorFlow chooses."""
        return self.tf.config.threading.get_intra_op_parallelism_threads() or None

    def tensor(self, array: np.ndarray) -> Any:
        """A packed tensor on the device; TensorFlow has no strides and copies."""
        with self.tf.device(self.place):
            return self.tf.convert_to_tensor(array)

    def array(self, tensor: Any) -> np.ndarray:
        """The values of a tensor or variable; on the CPU a read-only view of its memory."""
        return np.asarray(self.tf.convert_to_tensor(tensor))

    def synchronize(self, result: Any) -> None:
        """Wait for the GPU; on the CPU an eager operation has ended when it returns."""
        if self.place != "/CPU:0":
            self.tf.test.experimental.sync_devices()
