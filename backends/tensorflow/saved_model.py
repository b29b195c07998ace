"""``tensorflow.saved_model``: the layer of ``tf.nn.moments`` and ``tf.nn.batch_normalization`` in a ``tf.Module``, saved by
``tf.saved_model.save``, loaded, and called through the functions that were loaded.

A model is saved once for each configuration, for batches of any extents; each layer is loaded from it anew, and its variables are
assigned. The gradients are a tape's over the loaded functions, as in fine-tuning. The moving average skips an empty batch, by a
condition in the graph. Epsilon and decay are constants in it.

Source: https://www.tensorflow.org/guide/saved_model
"""

from __future__ import annotations

import tempfile
from typing import Any, Dict, Sequence

from bnspec.backends.tensorflow.common import TensorflowAdapter, TensorflowLayer
from bnspec.backends.tensorflow.moments_layer import CONVENTIONS, VariablesLayer
from bnspec.contract import Declined, Gradients, LayerConfig, State

#: The names of a layer's variables in its model.
VARIABLES = ("gamma", "beta", "running_mean", "running_var")


class TensorflowSavedModel(TensorflowAdapter):
    """Models saved in a temporary folder of this process."""

    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.folder = tempfile.TemporaryDirectory()
        self.saved: Dict[LayerConfig, str] = {}

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> LoadedLayer:
        """A layer loaded from the model of its configuration, with these values assigned."""
        if config not in self.saved:
            given = (gamma, beta, State(running_mean, running_var))
            written = GraphLayer(self.tf, config.channel_axis, config.epsilon, config.decay, *given)
            self.saved[config] = self.save(module_of(self.tf, config, written))
        loaded = self.tf.saved_model.load(self.saved[config])
        for name, value in zip(VARIABLES, (gamma, beta, running_mean, running_var)):
            if value is not None:
                getattr(loaded, name).assign(value)
        return LoadedLayer(self, loaded)

    def save(self, module: Any) -> str:
        """The folder of a model that is saved here."""
        path = tempfile.mkdtemp(dir=self.folder.name)
        self.tf.saved_model.save(module, path)
        return path


class GraphLayer(VariablesLayer):
    """The layer whose calls become graphs: how many values there are is not known when they are traced."""

    def training(self, x: Any) -> Any:
        """The training forward pass; an empty batch moves nothing."""
        return self.traced(x, self.tf.nn.moments(x, self.reduced(x), keepdims=True), self.tf.size(x) > 0)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The same by ``tf.nn.weighted_moments``, with the weights 1 and 0."""
        weights = self.tf.cast(mask, x.dtype)
        return self.traced(
            x, self.tf.nn.weighted_moments(x, self.reduced(x), weights, keepdims=True), self.tf.reduce_any(mask)
        )

    def traced(self, x: Any, moments: Sequence[Any], counts: Any) -> Any:
        """y of x by the batch's moments; updates the running statistics, if anything counts."""
        for old, moment in zip(self.running, moments):
            moved = old * self.decay + self.tf.reshape(moment, [-1]) * (1.0 - self.decay)
            old.assign(self.tf.where(counts, moved, old))
        return self.normalise(x, *moments)


def module_of(tf: Any, config: LayerConfig, layer: GraphLayer) -> Any:
    """A ``tf.Module`` with the layer's variables and its calls as functions of any batch."""
    shape = [config.channels if a == config.channel_axis else None for a in range(config.rank)]
    x = tf.TensorSpec(shape, config.dtype)
    mask = tf.TensorSpec([1 if a == config.channel_axis else None for a in range(config.rank)], "bool")
    module = tf.Module()
    for name, variable in zip(VARIABLES, (layer.gamma, layer.beta, *layer.running)):
        setattr(module, name, variable)
    module.training = tf.function(layer.training, input_signature=[x])
    module.inference = tf.function(layer.inference, input_signature=[x])
    module.masked = tf.function(layer.training_masked, input_signature=[x, mask])
    return module


class LoadedLayer(TensorflowLayer):
    """A loaded model."""

    def __init__(self, owner: TensorflowSavedModel, loaded: Any) -> None:
        super().__init__(owner.tf)
        self.owner, self.loaded = owner, loaded

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        return self.loaded.training(x)

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.loaded.inference(x)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass with a mask."""
        return self.loaded.masked(x, mask)

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward with a mask."""
        return self.gradients_of(lambda x: self.training_masked(x, mask), x, dy)

    def parameters(self) -> Sequence[Any]:
        """gamma and beta, if they exist."""
        return [p for p in (getattr(self.loaded, name, None) for name in VARIABLES[:2]) if p is not None]

    def state(self) -> State:
        """The running statistics."""
        return State(self.loaded.running_mean, self.loaded.running_var)

    def restored(self) -> LoadedLayer:
        """The loaded model, saved and loaded again."""
        return LoadedLayer(self.owner, self.tf.saved_model.load(self.owner.save(self.loaded)))

    def copied(self) -> LoadedLayer:
        """Raises Declined."""
        raise Declined("a loaded model is copied by saving and loading it")

    def set_decay(self, decay: float) -> None:
        """Raises Declined."""
        raise Declined("the decay is a constant in the saved graph")

    def freeze(self, frozen: bool) -> None:
        """Raises Declined."""
        raise Declined("functions of variables have no such mark: what is trained is what the user's tape is asked for")

    def reset(self) -> None:
        """Raises Declined."""
        raise Declined("the variables are the user's: TensorFlow has no call that resets them")
