"""A mutant or variant whose arrays lie in the tensors of another backend, the carrier.

The arithmetic stays NumPy's. This shows that nothing between the arrays and the device hides a defect: blocks of memory are moved,
and the results and side effects of a call are read from the device.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import weakref
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from bnspec.contract import Adapter, Instruments, LayerConfig, Scaler
from bnspec.model.buffers import block_of, extent, root_of
from bnspec.model.vocabulary import NetworkKind


class Block(NamedTuple):
    """Memory of an array and its copy on the device: a weak reference to the array that owns it, and the carrier's tensor of its bytes."""

    root: Any
    tensor: Any


class CarriedTensor:
    """An array of the mutant's, and its block; None for an array without elements."""

    def __init__(self, array: np.ndarray, block: Optional[Block]) -> None:
        self.array, self.block = array, block


class CarriedAdapter(Adapter):
    """``inner``, an adapter of arrays, in the memory of ``carrier``, an adapter that can overwrite its tensors.

    Before each call the blocks are read from the device into the arrays under them, and after it, however it ended, written back.
    """

    def __init__(self, inner: Adapter, carrier: Adapter) -> None:
        self.inner, self.carrier, self.device = inner, carrier, carrier.device
        self.conventions, self.framework = inner.conventions, carrier.framework
        self._blocks: Dict[int, Block] = {}

    def versions(self) -> Dict[str, str]:
        """The carrier's."""
        return self.carrier.versions()

    def instruments(self) -> Instruments:
        """The carrier's."""
        return self.carrier.instruments()

    def synchronize(self, result: Any) -> None:
        """Wait for what the carrier has queued."""
        self.carrier.synchronize(tuple(t.block.tensor for t in result if t.block is not None))

    # --- memory -------------------------------------------------------------------------------------------------------

    def tensor(self, array: np.ndarray) -> CarriedTensor:
        """A view of the block under the array."""
        if not array.size:
            return CarriedTensor(array, None)
        root = root_of(array)
        block = block_of(root)
        if block is None:  # of several blocks, which nobody can move as one
            array = root = array.copy(order="C")
            block = array.reshape(-1).view(np.uint8)
        known = self._blocks.get(id(root))
        if known is None:
            key = id(root)
            reference = weakref.ref(root, lambda _: self._blocks.pop(key, None) and None)
            known = self._blocks[key] = Block(reference, self.carrier.tensor(block.copy()))
        return CarriedTensor(array, known)

    def array(self, tensor: CarriedTensor) -> np.ndarray:
        """The values in the device's memory now."""
        array = tensor.array
        if tensor.block is None:
            return array
        memory = self.carrier.array(tensor.block.tensor)
        return np.ndarray(array.shape, array.dtype, memory, _address(array) - _begin(array), array.strides)

    def extent(self, tensor: CarriedTensor) -> Optional[Tuple[int, int]]:
        """The addresses on the device, from the carrier."""
        if tensor.block is None:
            return 0, 0
        carried = self.carrier.extent(tensor.block.tensor)
        if carried is None:
            return None
        moved = carried[0] - _begin(tensor.array)
        first, stop = extent(tensor.array)
        return first + moved, stop + moved

    def fetch(self) -> None:
        """From the device into the arrays."""
        for block, tensor in self._alive():
            if block.flags.writeable:
                block[:] = self.carrier.array(tensor)

    def send(self) -> None:
        """From the arrays to the device."""
        for block, tensor in self._alive():
            self.carrier.overwrite(tensor, block)

    def _alive(self) -> Iterator[Tuple[np.ndarray, Any]]:
        for known in list(self._blocks.values()):
            root = known.root()
            block = None if root is None else block_of(root)
            if block is not None:
                yield block, known.tensor

    def overruns(self) -> Tuple[str, ...]:
        """The inner adapter's."""
        return self.inner.overruns()

    # --- layers -------------------------------------------------------------------------------------------------------

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """The inner adapter's, with carried tensors."""
        return self.called(self.inner.layer, config, gamma, beta, running_mean, running_var)

    def new_layer(self, config: LayerConfig) -> Any:
        """The same."""
        return self.called(self.inner.new_layer, config)

    def scaler(self, config: LayerConfig) -> Any:
        """The same."""
        return self.called(self.inner.scaler, config)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> Any:
        """The same."""
        return self.called(self.inner.layer_norm, config, gamma, beta)

    def network(self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Any) -> Any:
        """The same."""
        return self.called(self.inner.network, kind, config, learning_rate, dict(values))

    def use_threads(self, count: int) -> None:
        """The inner adapter's."""
        self.inner.use_threads(count)

    def called(self, method: Any, *arguments: Any) -> Any:
        """The result of a call on the arrays of its arguments, with its arrays as tensors."""
        self.fetch()
        try:
            result = method(*_arrays_of(arguments))
        finally:
            self.send()
        return self._tensors_of(result)

    def _tensors_of(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self.tensor(value)
        if isinstance(value, np.generic):
            return self.tensor(np.asarray(value))
        if isinstance(value, tuple):
            parts = [self._tensors_of(v) for v in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        if isinstance(value, dict):
            return {k: self._tensors_of(v) for k, v in value.items()}
        return value if value is None else CarriedLayer(self, value)


class CarriedLayer:
    """A layer, scaler or network of the inner adapter; its calls take and return carried tensors."""

    def __init__(self, adapter: CarriedAdapter, inner: Any) -> None:
        self._adapter, self._inner = adapter, inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*arguments: Any) -> Any:
            return self._adapter.called(method, *arguments)

        return call


Scaler.register(CarriedLayer)  # the worker asks for one


def _arrays_of(value: Any) -> Any:
    """The value with its tensors as the arrays that they stand for."""
    if isinstance(value, CarriedTensor):
        return value.array
    if isinstance(value, (list, tuple)):
        return type(value)(_arrays_of(v) for v in value)
    if isinstance(value, dict):
        return {k: _arrays_of(v) for k, v in value.items()}
    return value


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _begin(array: np.ndarray) -> int:
    """The address of the first byte of the block under an array."""
    block = block_of(root_of(array))
    assert block is not None  # or it would not be a tensor's
    return _address(block)
