"""``sonnet`` and ``sonnet.fused``: the module sonnet.BatchNorm, eager.

Images with channels last take TensorFlow's fused kernel, which stores the unbiased variance; every other x takes tf.nn.moments,
whose variance is biased. One module thus has two conventions, and is two backends here. The averages are debiased.

Source: https://sonnet.readthedocs.io/en/latest/api.html#batchnorm
"""

from __future__ import annotations

import dataclasses
from typing import Any, Optional, Sequence, Tuple

from bnspec.backends.tensorflow.common import TensorflowAdapter, TensorflowLayer
from bnspec.contract import Conventions, Declined, Gradients, LayerConfig, SecondOrder, State
from bnspec.model.call import Mode

#: Steps of a layer that is given statistics: so many that 1 - decay^steps is 1.
MANY = 2**40


class Sonnet(TensorflowAdapter):
    """Everything but images with channels last."""

    framework = "sonnet"
    conventions = Conventions(
        running_correction=0,
        momentum_weighs="old",
        default_epsilon=1e-5,
        default_decay=0.999,
        initial_var=0.0,
        state_dtype="input",
        first_batch="debiased",
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("input",),
        ranks=(2, 3, 5),
        channel_axes="first_and_last",
        layouts="normalised",
        mutable_tensors=False,
        integers=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import sonnet

        self.sonnet = sonnet

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module with these values, as after many steps."""
        check_decay(config.decay)
        place = "channels_first" if config.channel_axis == 1 else "channels_last"
        module = self.sonnet.BatchNorm(config.affine, config.affine, config.decay, config.epsilon, data_format=place)
        module(self.tf.zeros(config.channel_shape, config.dtype), is_training=False)  # makes the variables
        if config.affine:
            module.scale.assign(self.tf.reshape(gamma, module.scale.shape))
            module.offset.assign(self.tf.reshape(beta, module.offset.shape))
        for average, given in ((module.moving_mean, running_mean), (module.moving_variance, running_var)):
            for variable in (average._hidden, average.average):
                variable.assign(self.tf.reshape(given, variable.shape))
            average._counter.assign(MANY)
        return ModuleLayer(self.tf, module, config.affine)


class SonnetFused(Sonnet):
    """Images with channels last, which take the fused kernel: float32, epsilon as a float32 attribute."""

    conventions = dataclasses.replace(
        Sonnet.conventions,
        running_correction=1,
        epsilon_dtype="float32",
        dtypes=("float32",),
        ranks=(4,),
        channel_axes="last",
    )


class ModuleLayer(TensorflowLayer):
    """One module."""

    def __init__(self, tf: Any, module: Any, affine: bool) -> None:
        super().__init__(tf)
        self.module, self.affine = module, affine

    def training(self, x: Any) -> Any:
        """The module's call in training."""
        return self.module(x, is_training=True)

    def inference(self, x: Any) -> Any:
        """The module's call in inference."""
        return self.module(x, is_training=False)

    def parameters(self) -> Sequence[Any]:
        """scale and offset."""
        return [self.module.scale, self.module.offset] if self.affine else []

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """By the tape; with channels first, the module's parameters have more axes than one."""
        return Gradients(*self.flat(super().gradients(x, dy, mode)))

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """The same for the wanted sources."""
        return Gradients(*self.flat(super().some_gradients(x, dy, wanted, mode)))

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """The same of the second derivatives."""
        return SecondOrder(*self.flat(super().second_order(x, dy, v, mode)))

    def flat(self, results: Sequence[Any]) -> Sequence[Any]:
        """The results, those after the first two of shape (C,)."""
        return [*results[:2], *(None if r is None else self.tf.reshape(r, [-1]) for r in results[2:])]

    def state(self) -> State:
        """The averages that inference uses."""
        return State(*(self.tf.reshape(m.value, [-1]) for m in (self.module.moving_mean, self.module.moving_variance)))

    def set_decay(self, decay: float) -> None:
        """Set the decay of both averages."""
        check_decay(decay)
        self.module.moving_mean._decay = self.module.moving_variance._decay = decay


def check_decay(decay: float) -> None:
    """Raises Declined: a debiased average divides by 1 - decay^steps."""
    if decay >= 1.0:
        raise Declined("1 - decay^steps, by which Sonnet divides, is 0")
