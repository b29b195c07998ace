"""``mnn``: the module MNN.nn.batch_norm of MNN's Python package, in training and in inference, on the CPU.

Source: https://mnn-docs.readthedocs.io/en/latest/pymnn/nn.html
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, List, Tuple

import numpy as np

from bnspec.backends.worker.mode_layer import GRADIENTS, LayerByMode
from bnspec.contract import Adapter, Conventions, Declined, Gradients, LayerConfig, SecondOrder, State
from bnspec.model.call import Mode

#: Why gradients in inference are declined.
CONSTANTS = "in inference gamma and beta are constants of the module's graph"


class Mnn(Adapter):
    """Modules in float32, which have gamma and beta always. Graphs are lazy, as gradients need them."""

    framework = "MNN"
    conventions = Conventions(
        running_correction=0,
        momentum_weighs="old",
        default_epsilon=1e-5,
        default_decay=0.99,
        epsilon_dtype="float32",
        decay_dtype="float32",
        initial_var=0.0,
        state_dtype="float32",
        empty_batch="raises",
        dtypes=("float32",),
        ranks=(2, 3, 4),
        channel_axes="first",
        layouts="normalised",
        mutable_tensors=False,
        affine_optional=False,
        gradient_modes=("training",),
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import MNN
        import MNN.expr
        import MNN.nn
        import MNN.optim

        self.mnn = MNN
        MNN.expr.lazy_eval(True)

    def versions(self) -> Dict[str, str]:
        """MNN's version, by the name under which it is installed."""
        return {"MNN": str(self.mnn.version())}

    def tensor(self, array: np.ndarray) -> np.ndarray:
        """A packed copy."""
        return array.copy(order="C")

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> ModuleLayer:
        """The module with these values, in the order of its parameters."""
        new = self.new_layer(config)
        given = [new.variable(a.reshape(new.channel_shape)) for a in (gamma, beta, running_var, running_mean)]
        if not new.module.load_parameters(given):
            raise ValueError("MNN does not load the parameters")
        return new

    def new_layer(self, config: LayerConfig) -> ModuleLayer:
        """The module as constructed."""
        return ModuleLayer(self.mnn, config)


class ModuleLayer(LayerByMode):
    """One module, which holds its own state."""

    def __init__(self, mnn: Any, config: LayerConfig) -> None:
        self.mnn, self.config = mnn, config
        self.module = mnn.nn.batch_norm(config.channels, config.rank, config.decay, config.epsilon)
        self.channel_shape = (1, config.channels, *[1] * (config.rank - 2))

    def variable(self, array: np.ndarray) -> Any:
        """A constant."""
        return self.mnn.expr.const(array, list(array.shape), self.mnn.expr.NCHW)

    def forward(self, x: Any, mode: Mode) -> Any:
        """y as a variable that is not computed yet."""
        self.module.train(mode == "training")
        return self.module.forward(x)

    def read(self, variable: Any) -> np.ndarray:
        """A variable's values."""
        return np.array(variable.read())

    def settle(self) -> None:
        """Make values of the statistics, which a step leaves as graphs; a step of an optimizer does the same."""
        for statistic in self.module.parameters[2:]:
            statistic.fix_as_const()

    def training(self, x: Any) -> Any:
        """The module's call in train(True)."""
        y = self.read(self.forward(self.variable(x), "training"))
        self.settle()
        return y

    def inference(self, x: Any) -> Any:
        """The module's call in train(False)."""
        return self.read(self.forward(self.variable(x), "inference"))

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """``MNN.optim.Grad`` by x, gamma and beta."""
        return self.some_gradients(x, dy, GRADIENTS, mode)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """``MNN.optim.Grad`` by what is wanted."""
        if mode == "inference":
            raise Declined(CONSTANTS)
        given = self.variable(x)
        return self.backward(given, self.forward(given, mode), dy, wanted)

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """``MNN.optim.Grad`` after another step, by which y has been read."""
        if mode == "inference":
            raise Declined(CONSTANTS)
        given = self.variable(x)
        y = self.forward(given, mode)
        self.read(y)
        self.training(other)
        return self.backward(given, y, dy, GRADIENTS)

    def backward(self, x: Any, y: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        """The gradients of y."""
        leaves = dict(zip(GRADIENTS, [x, *self.module.parameters[:2]]))
        asked = [name for name in leaves if name in wanted]
        found = self.derived(y, self.variable(dy), [leaves[name] for name in asked])
        named = {name: self.read(gradient) for name, gradient in zip(asked, found)}
        result = Gradients(self.read(y), *(named.get(name) for name in GRADIENTS))
        self.settle()
        return result._replace(**{name: a.reshape(-1) for name, a in named.items() if name != "dx"})

    def derived(self, y: Any, dy: Any, leaves: List[Any]) -> List[Any]:
        """The gradients of <dy, y> by the leaves."""
        if not leaves:
            return []
        found: List[Any] = self.mnn.optim.Grad(self.module).grad([y], [dy], leaves)[1]
        if len(found) != len(leaves):
            raise ValueError("MNN has %d gradients of %d" % (len(found), len(leaves)))
        return found

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """``MNN.optim.Grad`` of the dx of ``MNN.optim.Grad``."""
        if mode == "inference":
            raise Declined(CONSTANTS)
        given, cotangent = self.variable(x), self.variable(dy)
        (dx,) = self.derived(self.forward(given, mode), cotangent, [given])
        found = self.derived(dx, self.variable(v), [given, cotangent, self.module.parameters[0]])
        by_x, by_dy, by_gamma = (self.read(gradient) for gradient in found)
        self.settle()
        return SecondOrder(by_x, by_dy, by_gamma.reshape(-1))

    def state(self) -> State:
        """The module's statistics."""
        variance, mean = (self.read(p).reshape(-1) for p in self.module.parameters[2:])
        return State(mean, variance)

    def restored(self) -> ModuleLayer:
        """A new module that loads the parameters of a file."""
        new = ModuleLayer(self.mnn, self.config)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "layer.snapshot")
            self.mnn.expr.save(self.module.parameters, path)
            if not new.module.load_parameters(self.mnn.expr.load_as_list(path)):
                raise ValueError("MNN does not load the parameters that it saved")
        return new
