"""An adapter on a device that is lost, or full, on certain batches; a file in BROKEN_DEVICE counts its processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from bnspec.backends.numpy.specification import NumpyLayer, NumpySpec

LOST, FULL, FULL_ONCE, WRONG = 7, 9, 11, 13


class OutOfMemoryError(RuntimeError):
    """As PyTorch names it."""


class Breaking(NumpySpec):
    """The number of rows decides what happens; once the device is lost, nothing works on it."""

    def __init__(self, device: str = "cpu") -> None:
        self.device, self.lost = device, False
        with Path(os.environ["BROKEN_DEVICE"]).open("a") as file:
            file.write(".")
            self.process = file.tell()

    def tensor(self, array: np.ndarray) -> Any:
        """Fails on a lost device."""
        if self.lost:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return array

    def extent(self, tensor: Any) -> None:
        """Unknown."""

    def layer(self, *arguments: Any) -> Any:
        """Its calls may fail."""
        return _Layer(self, NumpyLayer(*arguments))


class _Layer:
    def __init__(self, owner: Breaking, layer: NumpyLayer) -> None:
        self.owner, self.layer = owner, layer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.layer, name)

        def call(*arguments: Any) -> Any:
            rows = arguments[0].shape[0] if arguments else 0
            if rows == LOST:
                self.owner.lost = True
                raise RuntimeError("CUDA error: device-side assert triggered")
            if rows == FULL or (rows == FULL_ONCE and self.owner.process == 1):
                raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            if rows == WRONG:
                raise ValueError("an argument is not allowed")
            return method(*arguments)

        return call
