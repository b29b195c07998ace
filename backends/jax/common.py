"""Shared by the JAX adapters: devices, 64-bit mode, arrays, and the calls by mode."""

from __future__ import annotations

import abc
import dataclasses
import os
from typing import Any, Dict, Optional, Tuple

import numpy as np

from bnspec.backends.jax.instruments import JaxInstruments
from bnspec.backends.worker.devices import hides_devices
from bnspec.backends.worker.mode_layer import LayerByMode
from bnspec.contract import Adapter, Conventions, Declined, DeviceAbsent
from bnspec.model.call import Mode

#: The platforms of GPUs, as ``jax.Device.platform`` calls them; others offer no double precision.
GPUS = ("gpu", "cuda", "rocm")
#: See ``Conventions.root_roundings``: XLA's GPU code takes sqrt.approx (1 unit in the last place) and div.full (2), or
#: rsqrt.approx (2^-22.9). Source: PTX ISA, floating-point instructions.
GPU_ROOT_ROUNDINGS = 7.0


class JaxAdapter(Adapter):
    """JAX on one device, in 64-bit mode. Subclasses define ``conventions`` and ``layer``."""

    framework = "jax"

    def __init__(self, device: str = "cpu") -> None:
        """Open JAX on ``device``, e.g. "cpu", "gpu", "cuda:0", "tpu:1". Raises DeviceAbsent with JAX's reason."""
        settle(device)
        import jax

        reason = why_absent(jax, device)
        if reason:
            raise DeviceAbsent("%s: %s" % (device, reason))
        self.jax, self.device = jax, device
        self.place = find(jax, device)
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_device", self.place)
        self._instruments = JaxInstruments(jax, self.place)
        self.conventions = on_device(self.conventions, self.place.platform)

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """The CPU, the devices JAX reports as GPUs (CUDA or ROCm), and TPUs."""
        import jax

        reasons = {kind: why_absent(jax, kind) for kind in ("cpu", "gpu", "tpu")}
        return {kind: "absent: " + reason if reason else "ready" for kind, reason in reasons.items()}

    def versions(self) -> Dict[str, str]:
        """Versions of JAX and of jaxlib, which contains the compiler."""
        import jaxlib

        return {"jax": str(self.jax.__version__), "jaxlib": str(jaxlib.__version__)}

    def ran_on(self) -> Dict[str, str]:
        """The device, the platform's releases as JAX tells them, and the flags that change programs."""
        if self.place.platform == "cpu":
            return {}
        found = {
            **super().ran_on(),
            "device": str(self.place.device_kind),
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        }
        found["platform"] = " ".join(str(getattr(self.place.client, "platform_version", "unknown")).split())
        found["matmul precision"] = str(self.jax.config.jax_default_matmul_precision or "default")
        return found

    def threads(self) -> Optional[int]:
        """None: XLA does not report it."""
        return None

    def instruments(self) -> JaxInstruments:
        """JAX's instruments."""
        return self._instruments

    def use_threads(self, count: int) -> None:
        """Raises Declined."""
        raise Declined("XLA fixes its threads when it starts")

    def tensor(self, array: np.ndarray) -> Any:
        """A JAX array on the device; JAX packs strided arrays and may share the memory of packed ones."""
        return self.jax.device_put(array, self.place)

    def array(self, tensor: Any) -> np.ndarray:
        """The array's values: on the CPU a read-only view of its memory, elsewhere read through a fresh copy of the array.

        JAX keeps the host's copy of an array that was read once, and would return it after the memory has changed.
        """
        return np.asarray(tensor if self.place.platform == "cpu" else self.jax.numpy.array(tensor, copy=True))

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """From the pointer of the array's buffer, which is packed."""
        pointer = getattr(tensor, "unsafe_buffer_pointer", None)
        if pointer is None:  # a NumPy array
            return super().extent(tensor)
        start = int(pointer())
        return start, start + int(tensor.nbytes)

    def synchronize(self, result: Any) -> None:
        """Wait for the arrays of ``result``."""
        self.jax.block_until_ready(result)


class JaxLayer(LayerByMode):
    """The passes of the contract. Subclasses define ``forward``, the derivatives by mode, and ``state``."""

    @abc.abstractmethod
    def forward(self, x: Any, mode: Mode) -> Any:
        """y in ``mode`` "training" or "inference"; training updates the state."""

    def training(self, x: Any) -> Any:
        """y in training mode."""
        return self.forward(x, "training")

    def inference(self, x: Any) -> Any:
        """y in inference mode."""
        return self.forward(x, "inference")


def on_device(conventions: Conventions, platform: str) -> Conventions:
    """The conventions as they are on this platform."""
    if platform == "cpu":
        return conventions
    dtypes = conventions.dtypes if platform in GPUS else tuple(d for d in conventions.dtypes if d != "float64")
    root = GPU_ROOT_ROUNDINGS if platform in GPUS else conventions.root_roundings
    return dataclasses.replace(conventions, programs_apart=True, dtypes=dtypes, root_roundings=root)


def settle(device: str) -> None:
    """What JAX reads when it is imported, where the user has not said otherwise: memory of a GPU is allocated as it is needed, since
    other processes use it, too; and for the CPU no GPU is opened."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if hides_devices(device):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")


def find(jax: Any, device: str) -> Any:
    """The jax.Device of "kind" or "kind:index". Raises RuntimeError, IndexError or ValueError: there is no such device."""
    kind, _, index = device.partition(":")
    return jax.devices(kind)[int(index or 0)]


def why_absent(jax: Any, device: str) -> str:
    """One line on why JAX has no such device; empty if it has."""
    kind = device.partition(":")[0]
    try:
        find(jax, device)
    except IndexError:
        return "JAX has %d device(s) of kind %s" % (len(jax.devices(kind)), kind)
    except (RuntimeError, ValueError) as error:
        return str(error).partition("\n")[0]
    return ""
