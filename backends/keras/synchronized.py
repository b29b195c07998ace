"""``keras.synchronized``: ``keras.layers.BatchNormalization(synchronized=True)`` on two replicas of a
``tf.distribute.MirroredStrategy``, eager.

The replicas are two logical devices of the CPU. Each has a part of the batch, which is axis 0: a batch of odd size is split
unevenly, and of a batch of one row the second replica has nothing. The layer is to normalise by the whole batch, and is judged
so: y and dx are the replicas' parts one after the other, dgamma and dbeta are summed over the replicas, as
an optimizer of Keras does. The state is the first replica's, which is what a checkpoint has; inference on a replica uses its own.

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Callable, Dict, Optional, Tuple

from bnspec.backends.keras.common import CONVENTIONS, StatefulLayer, assign, built_layer
from bnspec.backends.keras.over_tensorflow import NormLayer, TensorflowKeras
from bnspec.backends.worker.mode_layer import LayerByMode
from bnspec.contract import DeviceAbsent, Gradients, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.call import Mode

#: TensorFlow's names of the replicas' devices.
PLACES = ("CPU:0", "CPU:1")
#: The results that are sums over the batch; all others have its rows.
SUMS = ("dgamma", "dbeta", "by_gamma")


class KerasSynchronized(TensorflowKeras):
    """The layer in the scope of a strategy with two replicas.

    Statistics are E[x^2] - E[x]^2 of sums over all replicas. With parameters in half precision the replicas' parts of a gradient would
    be rounded before they are added: parameters are float32.
    """

    conventions = dataclasses.replace(
        CONVENTIONS, channel_axes="first_and_last", half_parameters=("float32",), input_normalization=False
    )

    def __init__(self, device: str = "cpu") -> None:
        if device != "cpu":
            raise DeviceAbsent("%s: the replicas are logical devices of the CPU" % device)
        tf = importlib.import_module("tensorflow")
        configure_replicas(tf)
        super().__init__(device)
        tf.get_logger().setLevel("ERROR")  # each eager call on replicas warns that it is slow
        self.strategy = tf.distribute.MirroredStrategy(PLACES)

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """The CPU."""
        return {"cpu": "ready"}

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """A layer whose weights are assigned these tensors, on each replica."""
        new = self.new_layer(config)
        with self.strategy.scope():
            assign(new.layer, gamma, beta, running_mean, running_var)
        return new

    def new_layer(self, config: LayerConfig) -> Any:
        """The layer as constructed, then built for x's rank and channels."""
        with self.strategy.scope():
            layer = built_layer(self.keras, config, synchronized=True)
        return ReplicatedLayer(self, config, layer)


class ReplicatedLayer(StatefulLayer, LayerByMode):
    """One layer on the replicas, called with the whole batch."""

    def __init__(self, owner: KerasSynchronized, config: LayerConfig, layer: Any) -> None:
        self.owner, self.keras, self.config, self.layer = owner, owner.keras, config, layer
        #: What each replica calls with its part.
        self.one = NormLayer(owner.tf, owner.keras, config, layer)

    def run(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """The result of the function on each replica's rows of the arrays, for the whole batch."""
        strategy = self.owner.strategy
        found = strategy.run(function, tuple(map(self.split, arrays)))
        if not hasattr(found, "_fields"):
            return self.joined(found, "y")
        return type(found)(*map(self.joined, found, found._fields))

    def split(self, array: Any) -> Any:
        """The first half of the rows, of an odd number the larger one, for one replica, and the rest for the other."""
        half = (int(array.shape[0]) + 1) // 2
        parts = (array[:half], array[half:])
        distribute = self.owner.strategy.experimental_distribute_values_from_function
        return distribute(lambda replica: parts[replica.replica_id_in_sync_group])

    def joined(self, result: Any, name: str) -> Optional[Any]:
        """One result of the whole batch."""
        if result is None:
            return None
        parts = self.owner.strategy.experimental_local_results(result)
        with self.owner.tf.device(self.owner.place):
            return self.owner.tf.add_n(parts) if name in SUMS else self.owner.tf.concat(parts, 0)

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        return self.run(self.one.training, x)

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.run(self.one.inference, x)

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """Forward and backward. Raises ValueError: dy is not shaped like x, so its rows are not those of x."""
        if dy.shape != x.shape:
            raise ValueError("dy has shape %s, x has shape %s" % (dy.shape, x.shape))
        return self.run(lambda x, dy: self.one.gradients(x, dy, mode), x, dy)

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """The same, with a training step that is not recorded before the backward pass."""
        return self.run(lambda x, dy, other: self.one.late_gradients(x, dy, other, mode), x, dy, other)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """Forward, and a backward pass for the wanted gradients only."""
        return self.run(lambda x, dy: self.one.some_gradients(x, dy, wanted, mode), x, dy)

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """A tape around a tape."""
        return self.run(lambda x, dy, v: self.one.second_order(x, dy, v, mode), x, dy, v)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """y and its Jacobian-vector product by a forward accumulator."""
        return self.run(lambda x, v: self.one.tangent(x, v, mode), x, v)

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """A tape around a tape around a tape."""
        return self.run(self.one.training_third_order, x, dy, v)

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """A tape around a forward accumulator."""
        return self.run(self.one.training_tangent_gradient, x, dy, v)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward of <dy, y> plus the moving statistics."""
        return self.run(self.one.training_state_gradients, x, dy)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass with a mask, which Keras takes without the channel axis."""
        return self.run(self.one.training_masked, x, mask)

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward with a mask."""
        return self.run(self.one.training_masked_gradients, x, dy, mask)

    def state(self) -> State:
        """The first replica's moving statistics."""
        return State(*map(self.owner.tf.convert_to_tensor, super().state()))

    def restored(self) -> StatefulLayer:
        """The layer of a model saved to a file and loaded."""
        with self.owner.strategy.scope():
            return super().restored()

    def copied(self) -> StatefulLayer:
        """The layer of a cloned model, with the same weights assigned."""
        with self.owner.strategy.scope():
            return super().copied()

    def over(self, layer: Any) -> StatefulLayer:
        """The same configuration around another Keras layer."""
        return ReplicatedLayer(self.owner, self.config, layer)


def configure_replicas(tf: Any) -> None:
    """Make logical devices of the CPU, one for each replica, unless this process already has them.

    Raises RuntimeError: TensorFlow has run with fewer.
    """
    (cpu,) = tf.config.list_physical_devices("CPU")
    configured = tf.config.get_logical_device_configuration(cpu) or ()
    if len(configured) < len(PLACES):
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration() for _ in PLACES])
