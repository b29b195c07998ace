"""``mlx``: the module mlx.nn.BatchNorm, eager, on MLX's CPU device. Channels come last.

    mlx.checkpoint   the same under mlx.nn.utils.checkpoint, which runs it again in the backward pass
    mlx.unfrozen     the same in a model after freeze() and unfreeze(); gradients in inference are followed by a step of gradient descent

Source: https://ml-explore.github.io/mlx/build/html/python/nn/_autosummary/mlx.nn.BatchNorm.html
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from bnspec.backends.worker.mode_layer import LayerByMode
from bnspec.contract import Adapter, Conventions, Declined, Gradients, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.buffers import dtype_of
from bnspec.model.call import Mode

#: Why a layer that is run again declines what does not depend on that.
OTHERS = "this is asked of the backend mlx"


class Mlx(Adapter):
    """The module; parameters, statistics and x keep their dtypes, and results have their promotion."""

    framework = "mlx"
    conventions = Conventions(
        checks_arguments=True,
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
        ranks=(2, 3, 4),
        channel_axes="last",
        layouts="normalised",
        mutable_tensors=False,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import mlx.core
        import mlx.nn

        self.mx, self.nn = mlx.core, mlx.nn
        self.mx.set_default_device(self.mx.cpu)
        if self.takes_one_value():
            self.conventions = dataclasses.replace(self.conventions, running_correction=0, count_one="biased")

    def takes_one_value(self) -> bool:
        """Whether the module trains on one value per channel: until it asked for more, its running variance had the divisor count."""
        try:
            self.nn.BatchNorm(1)(self.mx.zeros((1, 1)))
        except ValueError:
            return False
        return True

    def versions(self) -> Dict[str, str]:
        """MLX's version, which its core module has."""
        return {"mlx": str(self.mx.__version__)}

    def tensor(self, array: np.ndarray) -> Any:
        """A packed copy of the array; MLX takes none whose strides are negative."""
        array = array.copy(order="C")
        if array.dtype.name == "bfloat16":
            return self.mx.view(self.mx.array(array.view(np.uint16)), self.mx.bfloat16)
        return self.mx.array(array, dtype=getattr(self.mx, array.dtype.name.replace("bool", "bool_")))

    def array(self, tensor: Any) -> np.ndarray:
        """The values; MLX's bfloat16 by its bits."""
        if tensor.dtype == self.mx.bfloat16:
            return np.array(self.mx.view(tensor, self.mx.uint16)).view(dtype_of("bfloat16"))
        return np.array(tensor)

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """None: ``array`` copies, so that addresses are not known."""
        return None

    def synchronize(self, result: Any) -> None:
        """Compute what is lazy."""
        self.mx.eval([part for part in result if part is not None])

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module with these arrays."""
        new = self.new_layer(config)
        if config.affine:
            new.module.weight, new.module.bias = gamma, beta
        new.module.running_mean, new.module.running_var = running_mean, running_var
        return new

    def new_layer(self, config: LayerConfig) -> ModuleLayer:
        """The module as constructed, in the parameters' dtype."""
        if config.epsilon <= 0.0:
            raise Declined("MLX asks for a positive epsilon")
        module = self.nn.BatchNorm(config.channels, config.epsilon, 1.0 - config.decay, config.affine)
        module.set_dtype(getattr(self.mx, config.parameter_dtype))
        return ModuleLayer(self.mx, module)


class ModuleLayer(LayerByMode):
    """One ``mlx.nn.BatchNorm``, which holds its own state; differentiated by mx.vjp and mx.jvp."""

    def __init__(self, mx: Any, module: Any) -> None:
        self.mx, self.module = mx, module

    def parameters(self) -> List[Any]:
        """weight and bias; empty without affine."""
        return [self.module[name] for name in ("weight", "bias") if name in self.module]

    def forward(self, x: Any, mode: Mode, *parameters: Any) -> Any:
        """The module's call in train() or eval(), with these parameters in place of its own."""
        kept = self.parameters()
        self.module.train(mode == "training")
        try:
            self.put(parameters or kept)
            return self.module(x)
        finally:
            self.put(kept)

    def put(self, parameters: Any) -> None:
        """Replace weight and bias."""
        for name, value in zip(("weight", "bias"), parameters):
            self.module[name] = value

    def training(self, x: Any) -> Any:
        """The module's call in train()."""
        return self.forward(x, "training")

    def inference(self, x: Any) -> Any:
        """The module's call in eval()."""
        return self.forward(x, "inference")

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """mx.vjp by x, weight and bias."""
        of = lambda x, *parameters: self.forward(x, mode, *parameters)
        (y,), found = self.mx.vjp(of, [x, *self.parameters()], [dy.astype(self.result(x))])
        dx, dgamma, dbeta = found if len(found) > 1 else (*found, None, None)
        return Gradients(y, dx, dgamma, dbeta)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """mx.vjp of y and the module's statistics after the call."""

        def of(x: Any, *parameters: Any) -> Any:
            y = self.forward(x, "training", *parameters)
            return y, self.module.running_mean, self.module.running_var

        ones = [self.mx.ones_like(statistic) for statistic in self.state()]
        cotangents = [dy.astype(self.result(x)), *ones]
        (y, *statistics), found = self.mx.vjp(of, [x, *self.parameters()], cotangents)
        self.module.running_mean, self.module.running_var = statistics
        dx, dgamma, dbeta = found if len(found) > 1 else (*found, None, None)
        return Gradients(y, dx, dgamma, dbeta)

    def result(self, x: Any) -> Any:
        """The dtype of y."""
        return (x[:0] + self.module.running_mean[:0].sum()).dtype

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """mx.vjp of mx.vjp."""
        parameters, cotangent = self.parameters(), dy.astype(self.result(x))

        def dx(x: Any, dy: Any, *gamma: Any) -> Any:
            given = (*gamma, *parameters[1:])
            return self.mx.vjp(lambda x: self.forward(x, mode, *given), [x], [dy])[1][0]

        _, (by_x, by_dy, *by_gamma) = self.mx.vjp(dx, [x, cotangent, *parameters[:1]], [v])
        return SecondOrder(by_x, by_dy.astype(dy.dtype), *(by_gamma or [None]))

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """mx.jvp."""
        (y,), (along,) = self.mx.jvp(lambda x: self.forward(x, mode), [x], [v])
        return Tangent(y, along)

    def state(self) -> State:
        """The module's statistics."""
        return State(self.module.running_mean, self.module.running_var)

    def restored(self) -> ModuleLayer:
        """A new module that loads the weights of a file; safetensors take no float64, and NumPy's format no bfloat16."""
        old = self.module
        new = type(old)(old.num_features, old.eps, old.momentum, "weight" in old)
        with tempfile.TemporaryDirectory() as folder:
            ending = ".npz" if old.running_mean.dtype == self.mx.float64 else ".safetensors"
            path = os.path.join(folder, "layer" + ending)
            old.save_weights(path)
            new.load_weights(path)
            self.mx.eval(new.parameters())
        return ModuleLayer(self.mx, new)

    def set_decay(self, decay: float) -> None:
        """Set the module's momentum."""
        self.module.momentum = 1.0 - decay


class MlxCheckpoint(Mlx):
    """Modules whose activations are recomputed."""

    def new_layer(self, config: LayerConfig) -> CheckpointedLayer:
        """The module as constructed, in the parameters' dtype."""
        return CheckpointedLayer(self.mx, super().new_layer(config).module, self.nn.utils.checkpoint)


class CheckpointedLayer(ModuleLayer):
    """One module, of whose call nothing is kept for the backward pass."""

    def __init__(self, mx: Any, module: Any, checkpoint: Any) -> None:
        super().__init__(mx, module)
        self.checkpoint = checkpoint

    def forward(self, x: Any, mode: Mode, *parameters: Any) -> Any:
        """The module's call in train() or eval(), with these parameters in place of its own."""
        kept = self.parameters()
        self.module.train(mode == "training")
        try:
            self.put(parameters or kept)
            return self.checkpoint(self.module)(x)
        finally:
            self.put(kept)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined(OTHERS)

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined(OTHERS)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """Raises Declined."""
        raise Declined(OTHERS)

    def restored(self) -> ModuleLayer:
        """Raises Declined."""
        raise Declined(OTHERS)


class MlxUnfrozen(Mlx):
    """Modules in a model that was frozen and is frozen no longer, as for fine-tuning."""

    def new_layer(self, config: LayerConfig) -> UnfrozenLayer:
        """The module as constructed, in the parameters' dtype."""
        return UnfrozenLayer(self.mx, super().new_layer(config).module)


class UnfrozenLayer(ModuleLayer):
    """One module, and the model that holds it."""

    def __init__(self, mx: Any, module: Any) -> None:
        super().__init__(mx, module)
        import mlx.nn
        import mlx.optimizers

        self.nn, self.optimizers = mlx.nn, mlx.optimizers
        self.model = mlx.nn.Sequential(module)
        self.model.freeze()
        self.model.unfreeze()

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """mx.vjp; in inference, a step of what the model says is trained. weight and bias are put back, as in the next case."""
        found = super().gradients(x, dy, mode)
        if mode == "inference" and self.model.trainable_parameters()["layers"][0]:
            kept = self.parameters()
            self.model.eval()
            _, by = self.nn.value_and_grad(self.model, lambda x: (self.model(x) * dy).sum())(x)
            self.optimizers.SGD(learning_rate=0.5).update(self.model, by)
            self.put(kept)
        return found

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined(OTHERS)

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined(OTHERS)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """Raises Declined."""
        raise Declined(OTHERS)

    def restored(self) -> ModuleLayer:
        """Raises Declined."""
        raise Declined(OTHERS)
