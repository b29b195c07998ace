"""The contract between the suite and an implementation under test.

An *adapter* opens one framework on one device and builds its layers; a *layer* is then called as a user would call it. The
smallest adapter is one subclass of each::

    class Adapter(contract.Adapter):
        framework = "numpy"
        conventions = Conventions(running_correction=1)

        def layer(self, config, gamma, beta, running_mean, running_var):
            return MyLayer(config, gamma, beta, running_mean, running_var)

    class MyLayer(contract.Layer):
        def training(self, x): ...              # normalises by x's statistics, then updates the running ones
        def inference(self, x): ...             # normalises by the running statistics, changes nothing
        def training_gradients(self, x, dy): ...
        def inference_gradients(self, x, dy): ...
        def state(self): ...

The suite tests these rules for every implementation:

1. ``training`` and ``training_gradients`` are each one logical step: the running statistics move once.
2. ``inference`` and ``inference_gradients`` change no state.
3. No call writes into its arguments.
4. ``state`` returns the layer's current statistics and has no effect of its own.
5. A result does not change when the layer is called again.
6. For an unsupported case, raise ``Declined`` with the reason; never return something else.

Everything beyond those five methods is optional: second derivatives, derivatives along a direction, masks, saving, copying,
freezing, networks. A method that is not overridden declines, and its cases are counted as declined.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import abc
import importlib
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from bnspec.errors import Declined, DeviceAbsent
from bnspec.model.buffers import extent
from bnspec.model.conventions import Conventions
from bnspec.model.instruments import Instruments
from bnspec.model.layer import Gradients, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.vocabulary import NetworkKind

#: The name until 0.1.
Profile = Conventions


class Layer(abc.ABC):
    """One batch-normalization layer with its parameters and state. Tensors in, tensors out."""

    @abc.abstractmethod
    def training(self, x: Any) -> Any:
        """y in training mode, without recording gradients; moves the running statistics once."""

    @abc.abstractmethod
    def inference(self, x: Any) -> Any:
        """y in inference mode, without recording gradients; moves nothing."""

    @abc.abstractmethod
    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in training mode; moves the running statistics once."""

    @abc.abstractmethod
    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in inference mode; moves nothing."""

    @abc.abstractmethod
    def state(self) -> State:
        """The current running statistics."""

    # --- optional: derivatives ----------------------------------------------------------------------------------------

    def training_second_order(self, x: Any, dy: Any, v: Any) -> SecondOrder:
        """The gradients of <v, dx> in training mode, by the framework's own differentiation of its backward pass."""
        raise Declined("this layer offers no second derivatives")

    def inference_second_order(self, x: Any, dy: Any, v: Any) -> SecondOrder:
        """The same in inference mode."""
        raise Declined("this layer offers no second derivatives")

    def training_tangent(self, x: Any, v: Any) -> Tangent:
        """y in training mode and its derivative along v in x (forward mode); moves the running statistics once."""
        raise Declined("this layer offers no forward mode")

    def inference_tangent(self, x: Any, v: Any) -> Tangent:
        """The same in inference mode."""
        raise Declined("this layer offers no forward mode")

    def training_some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        """As ``training_gradients``, for some of "dx", "dgamma", "dbeta" only; the others are None."""
        raise Declined("this layer offers all gradients or none")

    def inference_some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        """The same in inference mode."""
        raise Declined("this layer offers all gradients or none")

    def training_late_gradients(self, x: Any, dy: Any, other: Any) -> Gradients:
        """Forward in training mode, a training step on ``other`` without gradients, then the backward pass of the first."""
        raise Declined("this layer offers no backward pass apart from its forward pass")

    def inference_late_gradients(self, x: Any, dy: Any, other: Any) -> Gradients:
        """Forward in inference mode, a training step on ``other`` without gradients, then the backward pass of the first."""
        raise Declined("this layer offers no backward pass apart from its forward pass")

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """As ``training_gradients``, of <dy, y> plus the sum of the new running statistics, as where a loss reads them."""
        raise Declined("this layer's statistics are not part of what is differentiated")

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """The gradient by x of <v, the gradient by x of <v, dx>> in training mode, shaped like x; moves the statistics once."""
        raise Declined("this layer offers no third derivatives")

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """The gradient by x of <dy, the tangent of y along v> in training mode, shaped like x; moves the statistics once."""
        raise Declined("this layer offers no gradients of its forward mode")

    # --- optional: masks ----------------------------------------------------------------------------------------------

    def training_masked(self, x: Any, mask: Any) -> Any:
        """y in training mode of a batch with padding; ``mask``: booleans shaped like x with one channel, False on padding."""
        raise Declined("this layer takes no mask")

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward of a batch with padding."""
        raise Declined("this layer takes no mask")

    # --- optional: operations between calls --------------------------------------------------------------------------------

    def restored(self) -> Layer:
        """A new layer of the same configuration and decay, from this one's checkpoint, saved and loaded in the framework's usual way."""
        raise Declined("this layer is neither saved nor restored")

    def copied(self) -> Layer:
        """An independent copy with the same parameters and state, as the framework copies layers."""
        raise Declined("this layer is not copied")

    def reset(self) -> None:
        """Reset the running statistics to those of a new layer."""
        raise Declined("this layer is not reset")

    def freeze(self, frozen: bool) -> None:
        """Freeze or unfreeze the layer; ``Conventions.frozen_gradients`` defines the effect."""
        raise Declined("this layer is not frozen")

    def set_decay(self, decay: float) -> None:
        """Change the decay of an existing layer."""
        raise Declined("the decay of this layer does not change")


class Scaler(abc.ABC):
    """Input normalization of the features on x's channel axis: (x - mean) / std with the training set's statistics."""

    @abc.abstractmethod
    def fit(self, chunks: Sequence[Any]) -> None:
        """Learn mean and variance of the training set, which arrives in chunks; forgets any earlier fit."""

    @abc.abstractmethod
    def transform(self, x: Any) -> Any:
        """x normalised by the fitted statistics."""

    @abc.abstractmethod
    def inverse(self, y: Any) -> Any:
        """The x that ``transform`` maps to y."""

    @abc.abstractmethod
    def statistics(self) -> State:
        """The fitted mean and (population) variance, each of shape (C,)."""


class Network(abc.ABC):
    """Linear or convolution -> BN -> ReLU -> Linear, trained by plain gradient descent as one writes it in the framework.

    The convolution is 3 by 3 without padding, and the mean over positions follows ReLU. The loss is the mean softmax
    cross-entropy. Values by name: w1 (features, C) or (3, 3, k, C), b1, gamma, beta, running_mean, running_var (C,),
    w2 (C, classes), b2 (classes,). Kinds that end in "_plain" are the same network without BN, and without its four values.
    """

    @abc.abstractmethod
    def learn(self, x: Any, labels: Any) -> Any:
        """One training step; returns the loss before it, shape (). x: (n, features) or (n, height, width, k); labels: (n,)."""

    @abc.abstractmethod
    def values(self) -> Mapping[str, Any]:
        """All values by name, in the shapes above."""


class LayerNorm(abc.ABC):
    """Layer normalization over the last axis of x, with gamma and beta of that extent; no state."""

    @abc.abstractmethod
    def training(self, x: Any) -> Any:
        """y, without recording gradients."""

    @abc.abstractmethod
    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward."""


class Adapter(abc.ABC):
    """One framework on one device. Subclasses import their framework when they are created, not before.

    Attributes:
        framework: the import name of the package under test, whose version is reported.
        conventions: the conventions that the backend follows.
    """

    framework = "numpy"
    conventions = Conventions()

    def __init_subclass__(cls, **options: Any) -> None:
        """``profile``, the attribute's name until 0.1, is read as ``conventions``."""
        super().__init_subclass__(**options)
        if "profile" in cls.__dict__ and "conventions" not in cls.__dict__:
            cls.conventions = cls.__dict__["profile"]

    def __init__(self, device: str = "cpu") -> None:
        """Open the framework on ``device`` ("cpu", "cuda:0", ...). Raises DeviceAbsent with the reason."""
        if device != "cpu":
            raise DeviceAbsent("%s: this backend runs on cpu only" % device)
        self.device = device

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """Each kind of device the backend knows: "ready", or "absent: " and the reason. May import the framework."""
        return {"cpu": "ready"}

    def versions(self) -> Dict[str, str]:
        """Version of each package involved."""
        module = importlib.import_module(self.framework.split(".")[0])
        return {self.framework: str(getattr(module, "__version__", "unknown"))}

    def ran_on(self) -> Dict[str, str]:
        """What the calls run on, beyond the versions: the device, its driver and libraries, and the modes that change results."""
        return self.instruments().facts()

    def tensor(self, array: np.ndarray) -> Any:
        """The framework's tensor of the same values, on the device; with the same strides and memory where it can.

        Arrays that share memory become tensors that do: ``bnspec.model.roots`` moves the memory under them once.
        """
        return array

    def array(self, tensor: Any) -> np.ndarray:
        """The tensor's values for NumPy, as they are in its memory now: a view of it on the CPU, otherwise a fresh copy.

        A value that the framework has kept from an earlier read hides what was written since.
        """
        return np.asarray(tensor)

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """Where the tensor's elements lie in the device's memory: first address, one past the last; None if unknown.

        From these aliases are detected. By default of the array that ``array`` returns on the CPU; unknown elsewhere.
        """
        if str(getattr(self, "device", "cpu")).partition(":")[0] != "cpu":
            return None
        return extent(self.array(tensor))

    def synchronize(self, result: Any) -> None:
        """Return when everything that ``result`` (a tensor, or a tuple of them) depends on has been computed."""
        return

    def overwrite(self, tensor: Any, array: np.ndarray) -> None:
        """Write the array's values, of the tensor's shape and dtype, into its memory; carried mutants need it.

        Raises Declined: tensors cannot be written to.
        """
        raise Declined("tensors of this backend cannot be written to")

    @abc.abstractmethod
    def layer(
        self,
        config: LayerConfig,
        gamma: Optional[Any],
        beta: Optional[Any],
        running_mean: Any,
        running_var: Any,
    ) -> Layer:
        """A layer that owns these tensors, each of shape (C,). Raises Declined: unsupported."""

    def scaler(self, config: LayerConfig) -> Scaler:
        """An input-normalization layer. Raises Declined: the framework has none."""
        raise Declined("this backend offers no input normalization")

    def new_layer(self, config: LayerConfig) -> Layer:
        """A layer as the framework initializes it: its own gamma, beta and running statistics."""
        raise Declined("this backend offers no layer with parameters of its own")

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> Network:
        """A network of kind "dense" or "convolutional", or "dense_plain" or "convolutional_plain": the same without BN.

        It starts from these tensors; ``config`` is that of its layer. Raises Declined: unsupported.
        """
        raise Declined("this backend offers no networks")

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> LayerNorm:
        """The framework's own layer normalization over the last axis, to compare with; gamma and beta of shape (C,)."""
        raise Declined("this backend offers no layer normalization")

    def instruments(self) -> Instruments:
        """Measurements on the device beyond the host's clock."""
        return Instruments()

    def overruns(self) -> Tuple[str, ...]:
        """What calls since the last question read or wrote outside of arrays of the adapter's own: "writes after y", "reads
        before x", "reads stale dgamma". The worker itself watches the arrays that it hands over.
        """
        return ()

    def use_threads(self, count: int) -> None:
        """Set the number of threads for later calls; 0 restores the initial number.

        Raises Declined: the number cannot be changed within a process.
        """
        raise Declined("this backend cannot change its number of threads")


__all__ = [
    "Adapter",
    "Declined",
    "DeviceAbsent",
    "Gradients",
    "Instruments",
    "Layer",
    "LayerConfig",
    "LayerNorm",
    "Network",
    "Conventions",
    "Scaler",
    "SecondOrder",
    "State",
    "Tangent",
]
