"""An adapter whose tensors live elsewhere, as those of a device do: around an adapter of arrays, in memory of its own.

Arrays are copied in by the blocks under them. What is read is copied out at once, or kept by the tensor that was read, as JAX
does; then the adapter reads through a fresh copy, as that of JAX has to.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bnspec.contract import Adapter, Declined, LayerConfig
from bnspec.model.buffers import extent
from bnspec.model.roots import Roots


class AwayTensor:
    """An array in the device's memory; ``read`` keeps what it has read once."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory
        self.kept: np.ndarray | None = None

    def read(self) -> np.ndarray:
        """The values, as they were when they were read first."""
        if self.kept is None:
            self.kept = self.memory.copy()
        return self.kept


class Away(Adapter):
    """``inner`` on a device "away:0". ``out``: how its values come back."""

    def __init__(self, inner: Adapter, out: Literal["copied", "kept"]) -> None:
        self.inner, self.out, self.device = inner, out, "away:0"
        self.conventions = inner.conventions
        self.roots = Roots(lambda block: block.copy())

    def tensor(self, array: np.ndarray) -> AwayTensor:
        """Views are rebuilt over the moved block."""
        block, offset = self.roots.of(array)
        return AwayTensor(np.ndarray(array.shape, array.dtype, block, offset, array.strides))

    def array(self, tensor: AwayTensor) -> np.ndarray:
        """A copy, never of an earlier time."""
        return tensor.memory.copy() if self.out == "copied" else AwayTensor(tensor.memory).read()

    def extent(self, tensor: AwayTensor) -> tuple[int, int]:
        """On the device."""
        return extent(tensor.memory)

    def layer(self, config: LayerConfig, *parameters: Any) -> Any:
        """The inner adapter's, there."""
        return _There(self.inner.layer(config, *unwrapped(parameters)))

    def new_layer(self, config: LayerConfig) -> Any:
        """The same."""
        return _There(self.inner.new_layer(config))

    def scaler(self, config: LayerConfig) -> Any:
        """The same."""
        return _There(self.inner.scaler(config))

    def use_threads(self, count: int) -> None:
        """The inner adapter's."""
        self.inner.use_threads(count)


class _There:
    """A layer or scaler of the inner adapter whose methods take and return tensors."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.layer, name)

        def call(*arguments: Any) -> Any:
            result = method(*unwrapped(arguments))
            return _There(result) if name in ("restored", "copied") else wrapped(result)

        return call


def unwrapped(value: Any) -> Any:
    """The arrays in it."""
    if isinstance(value, AwayTensor):
        return value.memory
    if isinstance(value, (list, tuple)):
        return type(value)(unwrapped(v) for v in value)
    return value


def wrapped(value: Any) -> Any:
    """Its arrays as tensors."""
    if isinstance(value, tuple):
        parts = [wrapped(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return AwayTensor(value) if isinstance(value, np.ndarray) else value


class AwayMemory(Adapter):
    """Memory of a device "away:0" that can be overwritten: a carrier of mutants, which copies what comes and goes."""

    def __init__(self, device: str = "away:0") -> None:
        self.device = device

    def tensor(self, array: np.ndarray) -> np.ndarray:
        """A copy."""
        return array.copy()

    def array(self, tensor: np.ndarray) -> np.ndarray:
        """A copy."""
        return tensor.copy()

    def overwrite(self, tensor: np.ndarray, array: np.ndarray) -> None:
        """In place."""
        tensor[...] = array

    def extent(self, tensor: np.ndarray) -> tuple[int, int]:
        """On the device."""
        return extent(tensor)

    def layer(self, config: LayerConfig, *parameters: Any) -> Any:
        """It has none of its own."""
        raise Declined("this is memory alone")
