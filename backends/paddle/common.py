"""Shared by the PaddlePaddle adapters: tensors, and derivatives by paddle.grad around one forward pass.

The operation stores epsilon and momentum as float32.
"""

from __future__ import annotations

import abc
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from bnspec.backends.worker.mode_layer import GRADIENTS, LayerByMode
from bnspec.contract import Adapter, Conventions, Gradients, LayerConfig, SecondOrder
from bnspec.model.call import Mode

CONVENTIONS = Conventions(
    running_correction=0,
    momentum_weighs="old",
    default_epsilon=1e-5,
    default_decay=0.9,
    epsilon_dtype="float32",
    decay_dtype="float32",
    dtypes=("float64", "float32"),
    ranks=(2, 3, 4, 5),
    channel_axes="first_and_last",
    layouts="normalised",
    checks_arguments=True,
)
MODULES = {2: "BatchNorm1D", 3: "BatchNorm1D", 4: "BatchNorm2D", 5: "BatchNorm3D"}
#: data_format by rank, for a channel axis that comes first (axis 1) and last.
FORMATS = {2: ("NC", "NC"), 3: ("NCL", "NLC"), 4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}


def data_format(config: LayerConfig) -> str:
    """PaddlePaddle's name of the layout."""
    return FORMATS[config.rank][0 if config.channel_axis == 1 else 1]


def new_module(paddle: Any, config: LayerConfig) -> Any:
    """The module of x's rank, as constructed with the parameters' dtype as the default."""
    paddle.set_default_dtype(config.parameter_dtype)
    attribute = None if config.affine else False
    return getattr(paddle.nn, MODULES[config.rank])(
        config.channels,
        momentum=config.decay,
        epsilon=config.epsilon,
        weight_attr=attribute,
        bias_attr=attribute,
        data_format=data_format(config),
    )


def put(module: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> None:
    """Give a module these values."""
    given = {"weight": gamma, "bias": beta, "_mean": running_mean, "_variance": running_var}
    for name, value in given.items():
        if value is not None:
            getattr(module, name).set_value(value)


class PaddleAdapter(Adapter):
    """PaddlePaddle on the CPU, in dynamic mode. Subclasses define ``layer``."""

    framework = "paddle"
    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import paddle

        paddle.set_device("cpu")
        self.paddle = paddle

    def versions(self) -> Dict[str, str]:
        """PaddlePaddle's version."""
        return {"paddle": str(self.paddle.__version__)}

    def tensor(self, array: np.ndarray) -> Any:
        """A packed copy of the array."""
        return self.paddle.to_tensor(array.copy(order="C"))

    def array(self, tensor: Any) -> np.ndarray:
        """A copy of the values."""
        return np.array(tensor.numpy())

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """None: ``array`` copies, so that addresses are not known."""
        return None


class PaddleLayer(LayerByMode):
    """The passes of the contract. Subclasses define ``forward``, ``parameters`` and ``state``."""

    def __init__(self, paddle: Any) -> None:
        self.paddle = paddle

    @abc.abstractmethod
    def forward(self, x: Any, mode: Mode) -> Any:
        """y in ``mode``."""

    @abc.abstractmethod
    def parameters(self) -> List[Any]:
        """weight and bias; empty without affine."""

    def training(self, x: Any) -> Any:
        """y in training mode, under no_grad."""
        with self.paddle.no_grad():
            return self.forward(x, "training")

    def inference(self, x: Any) -> Any:
        """y in inference mode, under no_grad."""
        with self.paddle.no_grad():
            return self.forward(x, "inference")

    def leaf(self, x: Any) -> Any:
        """x as a leaf that requires a gradient."""
        leaf = x.detach()
        leaf.stop_gradient = False
        return leaf

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """paddle.grad by x, weight and bias."""
        return self.some_gradients(x, dy, GRADIENTS if self.parameters() else GRADIENTS[:1], mode)

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """paddle.grad after a training step under no_grad."""
        leaves = [self.leaf(x), *self.parameters()]
        y = self.forward(leaves[0], mode)
        self.training(other)
        found = self.paddle.grad([y], leaves, [dy])
        return Gradients(y.detach(), *(*found, None, None)[: len(GRADIENTS)])

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """paddle.grad by the only leaves that require a gradient."""
        leaves = dict(zip(GRADIENTS, [x.detach(), *self.parameters()]))
        asked = [leaf for name, leaf in leaves.items() if name in wanted]
        try:
            for name, leaf in leaves.items():
                leaf.stop_gradient = name not in wanted
            y = self.forward(leaves["dx"], mode)
            found = self.paddle.grad([y], asked, [dy]) if asked else []
        finally:
            for leaf in self.parameters():
                leaf.stop_gradient = False
        named = dict(zip([n for n in leaves if n in wanted], found))
        return Gradients(y.detach(), *(named.get(name) for name in GRADIENTS))

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """paddle.grad of the dx that create_graph recorded; None, where there is no dependence, is 0."""
        leaf, cotangent = self.leaf(x), self.leaf(dy)
        y = self.forward(leaf, mode)
        (dx,) = self.paddle.grad([y], [leaf], [cotangent], create_graph=True)
        leaves = [leaf, cotangent, *self.parameters()[:1]]
        found = zip(leaves, self.paddle.grad([dx], leaves, [v], allow_unused=True))
        by_x, by_dy, *by_gamma = (self.paddle.zeros_like(leaf) if g is None else g for leaf, g in found)
        return SecondOrder(by_x, by_dy, *(by_gamma or [None]))
