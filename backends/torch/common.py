"""Shared by the PyTorch adapters: devices, tensors over an array's memory, and the calls of a layer around one function."""

from __future__ import annotations

import abc
import dataclasses
import inspect
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from bnspec.backends.torch.instruments import TorchInstruments, synchronize
from bnspec.backends.worker.mode_layer import GRADIENTS, LayerByMode
from bnspec.contract import Adapter, DeviceAbsent, Gradients, SecondOrder, Tangent
from bnspec.model.buffers import dtype_of
from bnspec.model.call import Mode
from bnspec.model.roots import Roots

#: Why a layer without epsilon is declined: torch.nn.functional.batch_norm raises ValueError for it in training.
NO_EPSILON = "PyTorch asks for a positive epsilon in training"
KINDS = ("cpu", "cuda", "mps", "xpu")
#: The kinds that "gpu" may stand for, in the order in which they are looked for.
GPU_KINDS = ("cuda", "xpu", "mps")
#: See ``Conventions.root_roundings``. Source: the Metal Shading Language specification, accuracy of functions with fast maths:
#: rsqrt and division to a few units in the last place, in ranges.
METAL_ROOT_ROUNDINGS = 12.0


class TorchAdapter(Adapter):
    """PyTorch on one device. Subclasses define ``conventions`` and ``layer``."""

    framework = "torch"

    def __init__(self, device: str = "cpu") -> None:
        """Open PyTorch on ``device``, e.g. "cpu", "cuda", "cuda:1", "mps". Raises DeviceAbsent with the reason."""
        import torch

        reason = why_absent(torch, device)
        if reason:
            raise DeviceAbsent("%s: %s" % (device, reason))
        self.torch, self.device, self.place = torch, device, torch.device(word_of(torch, device))
        self.kind = self.place.type
        self.roots = Roots(self.brought)
        self.threads_at_first = int(torch.get_num_threads())
        self._instruments = TorchInstruments(torch, self.place)
        if (
            self.kind == "mps"
        ):  # Metal has no double precision, and its fast maths no correctly rounded roots and divisions
            single = tuple(d for d in self.conventions.dtypes if d != "float64")
            self.conventions = dataclasses.replace(self.conventions, dtypes=single, root_roundings=METAL_ROOT_ROUNDINGS)

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """Each kind of device checked with PyTorch."""
        import torch

        reasons = {kind: why_absent(torch, kind) for kind in KINDS}
        return {kind: "absent: " + reason if reason else "ready" for kind, reason in reasons.items()}

    def versions(self) -> Dict[str, str]:
        """PyTorch's version, and the CUDA or ROCm release it was built for."""
        found = {"torch": self.torch.__version__, "cuda": self.torch.version.cuda, "rocm": self.torch.version.hip}
        return {name: str(version) for name, version in found.items() if version}

    def ran_on(self) -> Dict[str, str]:
        """The GPU, cuDNN or MIOpen, and the modes that decide which kernels run."""
        if self.kind == "cpu":
            return {}
        found, backends = super().ran_on(), self.torch.backends
        if self.kind != "cuda":
            return found
        properties = self.torch.cuda.get_device_properties(self.place)
        found.setdefault("gpu", str(properties.name))
        found.setdefault("compute capability", "%d.%d" % (properties.major, properties.minor))
        library = "MIOpen" if self.torch.version.hip else "cuDNN"
        found[library] = str(backends.cudnn.version() or "absent")
        modes = {
            "tf32 products": backends.cuda.matmul.allow_tf32, "tf32 convolutions": backends.cudnn.allow_tf32,
            "deterministic": self.torch.are_deterministic_algorithms_enabled() or backends.cudnn.deterministic,
            "cudnn.benchmark": backends.cudnn.benchmark, "cudnn.enabled": backends.cudnn.enabled,
        }  # fmt: skip
        return {**found, **{name: "on" if value else "off" for name, value in modes.items()}}

    def threads(self) -> Optional[int]:
        """The number of threads that one operation may use."""
        return int(self.torch.get_num_threads())

    def instruments(self) -> TorchInstruments:
        """PyTorch's instruments."""
        return self._instruments

    def use_threads(self, count: int) -> None:
        """Set the number of threads within one operation, for the process; 0 restores the initial number."""
        self.torch.set_num_threads(count or self.threads_at_first)

    def tensor(self, array: np.ndarray) -> Any:
        """A tensor over the array's memory, which moves to the device as it is: strides, offset and sharing are rebuilt there.

        PyTorch lacks negative strides and strides of parts of elements, so such arrays are packed.
        """
        size = array.itemsize
        if any(stride < 0 or stride % size for stride in array.strides):
            array = array.copy(
                order="C"
            )  # unlike ascontiguousarray, this also packs a negative stride along an extent of 1
        if self.kind == "cpu":
            if array.dtype.name == "bfloat16":
                return self.torch.from_numpy(array.view(np.int16)).view(self.torch.bfloat16)
            return self.torch.from_numpy(array)
        memory, offset = self.roots.of(array)
        if offset % size:
            array = array.copy(order="C")
            memory, offset = self.roots.of(array)
        view = memory.view(getattr(self.torch, array.dtype.name))
        # ``data`` has a version of its own: autograd must not take a write into one view for one into all
        return view.as_strided(array.shape, tuple(s // size for s in array.strides), offset // size).data

    def brought(self, block: np.ndarray) -> Any:
        """Bytes of the host as memory of the device."""
        return self.torch.from_numpy(block).to(self.place)

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """From the tensor's pointer and strides. Unknown with Metal, where a pointer names a buffer and is no address."""
        if self.kind == "mps":
            return None
        start, size = int(tensor.data_ptr()), tensor.element_size()
        if not tensor.numel():
            return start, start
        return start, start + (sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride())) + 1) * size

    def array(self, tensor: Any) -> np.ndarray:
        """The tensor's memory as an array; a copy from other devices than the CPU."""
        host = tensor.detach().cpu()
        if host.dtype == self.torch.bfloat16:
            return host.view(self.torch.int16).numpy().view(dtype_of("bfloat16"))
        return host.numpy()

    def overwrite(self, tensor: Any, array: np.ndarray) -> None:
        """Copy into the tensor's memory, and wait."""
        tensor.copy_(self.torch.from_numpy(array))
        self.synchronize(tensor)

    def synchronize(self, result: Any) -> None:
        """Wait for the device's queue; a no-op on the CPU."""
        if self.kind != "cpu":
            synchronize(self.torch, self.place)


class TorchLayer(LayerByMode):
    """The passes of the contract. Subclasses define ``forward``, ``parameters`` and ``state``."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    @abc.abstractmethod
    def forward(self, x: Any, mode: Mode) -> Any:
        """y in ``mode`` "training" or "inference"."""

    @abc.abstractmethod
    def parameters(self) -> List[Any]:
        """gamma and beta as leaves of the graph; empty without affine or if they require no gradient."""

    def training(self, x: Any) -> Any:
        """y in training mode, under no_grad."""
        with self.torch.no_grad():
            return self.forward(x, "training")

    def inference(self, x: Any) -> Any:
        """y in inference mode, under no_grad."""
        with self.torch.no_grad():
            return self.forward(x, "inference")

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """y and the gradients."""
        return self.gradients_of(lambda x: self.forward(x, mode), x, dy)

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """The same, with a training step under no_grad before the backward pass."""

        def forward(leaf: Any) -> Any:
            y = self.forward(leaf, mode)
            self.training(other)
            return y

        return self.gradients_of(forward, x, dy)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """The gradients of <dy, y> plus the statistics that are part of the graph."""
        leaf = x.detach().requires_grad_()
        y = self.forward(leaf, "training")
        read = [s for s in self.state() if s.requires_grad]
        outputs, cotangents = [y, *read], [dy, *map(self.torch.ones_like, read)]
        dx, *parameters = self.torch.autograd.grad(outputs, [leaf, *self.parameters()], cotangents)
        dgamma, dbeta = parameters or (None, None)
        return Gradients(y.detach(), dx, dgamma, dbeta)

    def gradients_of(self, forward: Callable[[Any], Any], x: Any, dy: Any) -> Gradients:
        """y of a forward pass, and the results of ``torch.autograd.grad`` for x, gamma and beta with the cotangent dy."""
        leaf = x.detach().requires_grad_()
        y = forward(leaf)
        dx, *parameters = self.torch.autograd.grad(y, [leaf, *self.parameters()], dy)
        dgamma, dbeta = parameters or (None, None)
        return Gradients(y.detach(), dx, dgamma, dbeta)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """y and the gradients of the only leaves that require one."""
        leaves = dict(zip(GRADIENTS, [x.detach(), *self.parameters()]))
        asked = {name: leaf for name, leaf in leaves.items() if name in wanted}
        try:
            for name, leaf in leaves.items():
                leaf.requires_grad_(name in asked)
            y = self.forward(leaves["dx"], mode)
        finally:
            for leaf in leaves.values():
                leaf.requires_grad_()
        found = dict(zip(asked, self.torch.autograd.grad(y, list(asked.values()), dy))) if asked else {}
        return Gradients(y.detach(), *(found.get(name) for name in GRADIENTS))

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """``torch.autograd.grad`` of the dx that ``create_graph`` recorded; autograd's None (no dependence) becomes 0."""
        grad, leaf, cotangent = self.torch.autograd.grad, x.detach().requires_grad_(), dy.detach().requires_grad_()
        y = self.forward(leaf, mode)
        (dx,) = grad(y, leaf, cotangent, create_graph=True)
        leaves = [leaf, cotangent, *self.parameters()[:1]]
        found = zip(leaves, grad(dx, leaves, v, allow_unused=True))
        by_x, by_dy, *by_gamma = (self.torch.zeros_like(leaf) if g is None else g for leaf, g in found)
        return SecondOrder(by_x, by_dy, *(by_gamma or [None]))

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """``torch.autograd.grad`` three times, the first two with ``create_graph``; autograd's None becomes 0, as above."""
        leaf = x.detach().requires_grad_()
        (found,) = self.torch.autograd.grad(self.forward(leaf, "training"), leaf, dy, create_graph=True)
        for again in (True, False):
            if not found.requires_grad:  # dx of a frozen layer does not depend on x
                return self.torch.zeros_like(leaf)
            (found,) = self.torch.autograd.grad(found, leaf, v, create_graph=again, allow_unused=True)
            if found is None:
                return self.torch.zeros_like(leaf)
        return found

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """``torch.autograd.grad`` of the tangent of a dual tensor."""
        forward_ad, leaf = self.torch.autograd.forward_ad, x.detach().requires_grad_()
        with forward_ad.dual_level():
            y = self.forward(forward_ad.make_dual(leaf, v), "training")
            along = forward_ad.unpack_dual(y).tangent
            # added to zeros: autograd's own zero, of a frozen layer's tangent, has no memory that could be read
            return self.torch.zeros_like(leaf) + self.torch.autograd.grad(along, leaf, dy)[0]

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """Forward-mode differentiation by a dual tensor."""
        forward_ad = self.torch.autograd.forward_ad
        with self.torch.no_grad(), forward_ad.dual_level():
            y, along = forward_ad.unpack_dual(self.forward(forward_ad.make_dual(x, v), mode))
        if along is None:
            raise RuntimeError("y has no tangent: it is not connected to x")
        return Tangent(y, along)


def placed(made: Any, *extents: Any, device: Any, dtype: Any, **options: Any) -> Any:
    """A module of this dtype on this device; before PyTorch 1.9 constructors took neither, and modules were moved."""
    if "device" in inspect.signature(made.__init__).parameters:
        return made(*extents, device=device, dtype=dtype, **options)
    return made(*extents, **options).to(device=device, dtype=dtype)


def word_of(torch: Any, device: str) -> str:
    """PyTorch's word for a device: "gpu" is the first kind of GPU that is there, or CUDA if none is."""
    kind, colon, index = device.partition(":")
    if kind != "gpu":
        return device
    there = (k for k in GPU_KINDS if getattr(getattr(torch, k, None), "is_available", lambda: False)())
    return next(there, GPU_KINDS[0]) + (colon + index if colon else "")


def why_absent(torch: Any, device: str) -> str:
    """PyTorch's one-sentence reason why ``device`` cannot hold a tensor; empty if it can."""
    device = word_of(torch, device)
    kind = device.partition(":")[0]
    if kind not in KINDS:
        return "the kinds of device are gpu, " + ", ".join(KINDS)
    if kind == "mps" and not torch.backends.mps.is_built():
        return "Torch not compiled with MPS enabled"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError, OSError) as error:  # each kind of device fails in its own way
        return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
    return ""
