"""``tinygrad``: the class tinygrad.nn.BatchNorm on tinygrad's CPU device, which compiles the C that tinygrad writes with clang.

Source: https://docs.tinygrad.org/nn/
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import tempfile
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from bnspec.backends.worker.mode_layer import GRADIENTS, LayerByMode
from bnspec.contract import Adapter, Conventions, DeviceAbsent, Gradients, LayerConfig, SecondOrder, State
from bnspec.model.buffers import dtype_of
from bnspec.model.call import Mode

#: The class's names of gamma, beta and the running statistics.
OWN_NAMES = ("weight", "bias", "running_mean", "running_var")


class Tinygrad(Adapter):
    """The class; parameters, statistics and x keep their dtypes, and results have their promotion."""

    framework = "tinygrad"
    conventions = Conventions(
        running_correction=1,
        momentum_weighs="new",
        default_epsilon=1e-5,
        default_decay=0.9,
        count_one="raises",
        half_statistics="input",
        half_arithmetic="input",
        output_dtype="promoted",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        ranks=(2, 3, 4, 5),
        channel_axes="first",
        layouts="normalised",
        mutable_tensors=False,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        os.environ.setdefault("DEV", "CPU")
        import tinygrad

        self.tinygrad = tinygrad
        dtypes = tuple(d for d in self.conventions.dtypes if d not in ("bfloat16", "float16") or not self.refusal(d))
        reason = self.refusal("float32")
        if reason:
            raise DeviceAbsent("tinygrad compiles nothing here: " + reason)
        self.conventions = dataclasses.replace(self.conventions, dtypes=dtypes)

    def refusal(self, dtype: str) -> str:
        """Why a sum of this dtype does not compile; empty if it does. Older clang knows no bfloat16."""
        try:
            with self.tinygrad.Context(CACHELEVEL=0):  # what another clang has compiled says nothing of this one
                two = self.tinygrad.Tensor([2.0]).realize().cast(getattr(self.tinygrad.dtypes, dtype)).realize()
                (two + two).realize()
        except Exception as error:  # noqa: BLE001  a missing program, a rejected type: no class of tinygrad's own
            return "%s: %s" % (type(error).__name__, error)
        return ""

    def versions(self) -> Dict[str, str]:
        """tinygrad's version, which the package itself does not have."""
        return {"tinygrad": importlib.metadata.version("tinygrad")}

    def tensor(self, array: np.ndarray) -> Any:
        """A packed copy of the array; bfloat16, which NumPy does not hand over, by its bits."""
        array = array.copy(order="C")
        if array.dtype.name == "bfloat16":
            bits = self.tinygrad.Tensor(array.view(np.uint16)).realize()
            return bits.bitcast(self.tinygrad.dtypes.bfloat16).clone().realize()
        return self.tinygrad.Tensor(array).clone().realize()

    def array(self, tensor: Any) -> np.ndarray:
        """The values; bfloat16 by its bits."""
        if tensor.dtype == self.tinygrad.dtypes.bfloat16:
            bits = tensor.contiguous().realize().bitcast(self.tinygrad.dtypes.uint16)
            return np.array(bits.numpy()).view(dtype_of("bfloat16"))
        return np.array(tensor.numpy())

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """None: ``array`` copies, so that addresses are not known."""
        return None

    def synchronize(self, result: Any) -> None:
        """Compute what is lazy."""
        self.tinygrad.Tensor.realize(*(part for part in result if part is not None))

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ClassLayer:
        """The class with these arrays."""
        new = self.new_layer(config)
        for name, given in zip(OWN_NAMES, (gamma, beta, running_mean, running_var)):
            setattr(new.norm, name, given)
        return new

    def new_layer(self, config: LayerConfig) -> ClassLayer:
        """The class as constructed, with its arrays in the parameters' dtype."""
        norm = self.tinygrad.nn.BatchNorm(config.channels, config.epsilon, config.affine, momentum=1.0 - config.decay)
        for name in OWN_NAMES:
            made = getattr(norm, name)
            if made is not None:
                setattr(norm, name, made.cast(getattr(self.tinygrad.dtypes, config.parameter_dtype)).clone().realize())
        return ClassLayer(self.tinygrad, norm)


class ClassLayer(LayerByMode):
    """One ``tinygrad.nn.BatchNorm``, which holds its own state; whatever a call makes is computed at its end."""

    def __init__(self, tinygrad: Any, norm: Any) -> None:
        self.tinygrad, self.norm = tinygrad, norm

    def parameters(self) -> List[Any]:
        """weight and bias; empty without affine."""
        return [p for p in (self.norm.weight, self.norm.bias) if p is not None]

    def forward(self, x: Any, mode: Mode) -> Any:
        """The call under TRAINING; nothing is computed yet."""
        with self.tinygrad.Context(TRAINING=int(mode == "training")):
            return self.norm(x)

    def computed(self, *results: Any) -> Tuple[Any, ...]:
        """The results and the statistics, computed together."""
        self.tinygrad.Tensor.realize(*results, *self.state())
        return results

    def training(self, x: Any) -> Any:
        """The call with TRAINING=1."""
        return self.computed(self.forward(x, "training"))[0]

    def inference(self, x: Any) -> Any:
        """The call with TRAINING=0."""
        return self.computed(self.forward(x, "inference"))[0]

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """``Tensor.gradient`` by x, weight and bias."""
        return self.some_gradients(x, dy, GRADIENTS if self.parameters() else GRADIENTS[:1], mode)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """``Tensor.gradient`` by what is wanted."""
        return self.backward(self.forward(x, mode), x, dy, wanted)

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """``Tensor.gradient`` after a training step; y is computed with the gradients, as a computed tensor has none."""
        y = self.forward(x, mode)
        self.training(other)
        return self.backward(y, x, dy, GRADIENTS if self.parameters() else GRADIENTS[:1])

    def backward(self, y: Any, x: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        """``Tensor.gradient`` of y."""
        leaves = dict(zip(GRADIENTS, [x, *self.parameters()]))
        asked = [name for name in leaves if name in wanted]
        found = y.gradient(*(leaves[name] for name in asked), gradient=dy.cast(y.dtype)) if asked else []
        y, *found = self.computed(y, *found)
        named = dict(zip(asked, found))
        return Gradients(y, *(named.get(name) for name in GRADIENTS))

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """``Tensor.gradient`` of the dx of ``Tensor.gradient``."""
        y = self.forward(x, mode)
        (dx,) = y.gradient(x, gradient=dy.cast(y.dtype))
        found = self.computed(*dx.gradient(x, dy, *self.parameters()[:1], gradient=v.cast(dx.dtype)))
        return SecondOrder(*(*found, None)[:3])

    def state(self) -> State:
        """The class's statistics."""
        return State(self.norm.running_mean, self.norm.running_var)

    def restored(self) -> ClassLayer:
        """A new layer that loads the state of a file of safetensors."""
        old, files = self.norm, self.tinygrad.nn.state
        new = type(old)(old.running_mean.shape[0], old.eps, old.weight is not None, momentum=old.momentum)
        for name in OWN_NAMES:
            if getattr(old, name) is not None:
                setattr(new, name, getattr(new, name).cast(getattr(old, name).dtype).clone().realize())
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "layer.safetensors")
            files.safe_save(files.get_state_dict(old), path)
            files.load_state_dict(new, files.safe_load(path), verbose=False)
            self.tinygrad.Tensor.realize(*files.get_parameters(new))
        return ClassLayer(self.tinygrad, new)

    def set_decay(self, decay: float) -> None:
        """Set the class's momentum."""
        self.norm.momentum = 1.0 - decay
