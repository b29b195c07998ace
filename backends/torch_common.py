"""What the PyTorch adapters share: devices, tensors over NumPy's memory, and the four calls around one function."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, Dict, List, Optional

import numpy as np

from bnspec.buffers import dtype_of
from bnspec.contract import Adapter, DeviceAbsent, Gradients, Layer

KINDS = ("cpu", "cuda", "mps", "xpu")


class TorchAdapter(Adapter):
    """PyTorch on one device. What is left to a subclass: ``profile`` and ``layer``."""

    framework = "torch"

    def __init__(self, device: str = "cpu") -> None:
        """Open PyTorch on ``device``, e.g. "cpu", "cuda", "cuda:1", "mps". Raises DeviceAbsent with the reason."""
        import torch

        reason = why_absent(torch, device)
        if reason:
            raise DeviceAbsent("%s: %s" % (device, reason))
        self.torch, self.device, self.place = torch, device, torch.device(device)
        if self.place.type == "mps":  # Metal has no double precision
            self.profile = dataclasses.replace(
                self.profile, dtypes=tuple(d for d in self.profile.dtypes if d != "float64")
            )

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """Each kind of device PyTorch was asked for."""
        import torch

        reasons = {kind: why_absent(torch, kind) for kind in KINDS}
        return {kind: "absent: " + reason if reason else "ready" for kind, reason in reasons.items()}

    def versions(self) -> Dict[str, str]:
        """PyTorch, and the CUDA or ROCm release it was built for."""
        found = {"torch": self.torch.__version__, "cuda": self.torch.version.cuda, "rocm": self.torch.version.hip}
        return {name: str(version) for name, version in found.items() if version}

    def threads(self) -> Optional[int]:
        """Threads that one operation may use."""
        return int(self.torch.get_num_threads())

    def tensor(self, array: np.ndarray) -> Any:
        """A tensor over the array's memory, moved to the device. PyTorch has no negative strides: those are packed."""
        if any(stride < 0 or stride % array.itemsize for stride in array.strides):
            array = array.copy(order="C")  # unlike ascontiguousarray, also for a negative stride along an extent of 1
        if array.dtype.name == "bfloat16":
            tensor = self.torch.from_numpy(array.view(np.int16)).view(self.torch.bfloat16)
        else:
            tensor = self.torch.from_numpy(array)
        return tensor.to(self.place)

    def array(self, tensor: Any) -> np.ndarray:
        """The tensor's memory as an array; a copy from other devices than the CPU."""
        host = tensor.detach().cpu()
        if host.dtype == self.torch.bfloat16:
            return host.view(self.torch.int16).numpy().view(dtype_of("bfloat16"))
        return host.numpy()

    def synchronize(self, result: Any) -> None:
        """Wait for the device's queue; the CPU has none."""
        if self.place.type == "mps":
            self.torch.mps.synchronize()
        elif self.place.type != "cpu":
            getattr(self.torch, self.place.type).synchronize(self.place)


class TorchLayer(Layer):
    """The four calls of the contract. What is left to a subclass: ``forward``, ``parameters`` and ``state``."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    @abc.abstractmethod
    def forward(self, x: Any, mode: str) -> Any:
        """y in ``mode`` "training" or "inference"."""

    @abc.abstractmethod
    def parameters(self) -> List[Any]:
        """gamma and beta as leaves of the graph, or nothing without affine."""

    def training(self, x: Any) -> Any:
        """y in training mode, under no_grad."""
        with self.torch.no_grad():
            return self.forward(x, "training")

    def inference(self, x: Any) -> Any:
        """y in inference mode, under no_grad."""
        with self.torch.no_grad():
            return self.forward(x, "inference")

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and autograd's backward in training mode."""
        return self.gradients(x, dy, "training")

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and autograd's backward in inference mode."""
        return self.gradients(x, dy, "inference")

    def gradients(self, x: Any, dy: Any, mode: str) -> Gradients:
        """y and what ``torch.autograd.grad`` gives for x, gamma and beta with the cotangent dy."""
        leaf = x.detach().requires_grad_()
        y = self.forward(leaf, mode)
        dx, *parameters = self.torch.autograd.grad(y, [leaf, *self.parameters()], dy)
        dgamma, dbeta = parameters or (None, None)
        return Gradients(y.detach(), dx, dgamma, dbeta)


def why_absent(torch: Any, device: str) -> str:
    """PyTorch's own reason, one sentence, why no tensor can be made on ``device``; empty when one can."""
    kind = device.partition(":")[0]
    if kind not in KINDS:
        return "the kinds of device are " + ", ".join(KINDS)
    if kind == "mps" and not torch.backends.mps.is_built():
        return "Torch not compiled with MPS enabled"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError, OSError) as error:  # each kind of device fails in its own way
        return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
    return ""
