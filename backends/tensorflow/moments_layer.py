"""The layer that TensorFlow users write with ``tf.nn.moments`` and ``tf.nn.batch_normalization``, for any kind of state."""

from __future__ import annotations

import abc
from typing import Any, Optional, Sequence

from bnspec.backends.tensorflow.common import TensorflowLayer, checkpointed
from bnspec.contract import Conventions, Declined, Gradients, State

#: The conventions of the two functions and the code around them, eager or compiled.
CONVENTIONS = Conventions(
    checks_arguments=False,  # tf.nn.batch_normalization takes any tensors that broadcast, and says so
    running_correction=0,
    momentum_weighs="none",
    count_one="biased",
    empty_batch="keeps_state",
    half_statistics="input",
    half_arithmetic="input",
    dtypes=("float64", "float32", "bfloat16", "float16"),
    half_parameters=("input",),
    layouts="normalised",
    mutable_tensors=False,
)


class MomentsLayer(TensorflowLayer):
    """Both passes. Subclasses define ``move``.

    Args:
        axis: the channel axis.
        gamma, beta, running: variables or tensors of shape (C,); no gamma and beta without affine.
    """

    def __init__(self, tf: Any, axis: int, epsilon: float, decay: float, gamma: Any, beta: Any, running: State) -> None:
        super().__init__(tf)
        self.axis, self.epsilon, self.decay = axis, epsilon, decay
        self.gamma, self.beta, self.running = gamma, beta, running

    @abc.abstractmethod
    def move(self, after: State) -> None:
        """Set the running statistics."""

    def spread(self, x: Any, channels: Optional[Any]) -> Any:
        """A (C,) tensor shaped to broadcast against x."""
        shape = [-1 if a == self.axis else 1 for a in range(x.shape.rank)]
        return None if channels is None else self.tf.reshape(channels, shape)

    def normalise(self, x: Any, mean: Any, var: Any) -> Any:
        """y of x by statistics that broadcast against x."""
        beta, gamma = self.spread(x, self.beta), self.spread(x, self.gamma)
        return self.tf.nn.batch_normalization(x, mean, var, beta, gamma, self.epsilon)

    def reduced(self, x: Any) -> Sequence[int]:
        """Every axis of x but the channel axis."""
        return [a for a in range(x.shape.rank) if a != self.axis]

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        return self.trained(x, *self.tf.nn.moments(x, self.reduced(x), keepdims=True))

    def trained(self, x: Any, mean: Any, var: Any, counts: Any = None) -> Any:
        """y of x by the batch's statistics; updates the running ones, if anything counts (None: all of x does)."""
        y, decay = self.normalise(x, mean, var), self.decay
        if x.shape.num_elements():  # the moments of an empty batch are NaN
            batch = (self.tf.reshape(moment, [-1]) for moment in (mean, var))
            moved = [old * decay + new * (1.0 - decay) for old, new in zip(self.running, batch)]
            if counts is not None:
                moved = [self.tf.where(counts, new, old) for old, new in zip(self.running, moved)]
            self.move(State(*moved))
        return y

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.normalise(x, *(self.spread(x, statistic) for statistic in self.running))

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass by ``tf.nn.weighted_moments``, with the weights 1 and 0."""
        weights = self.tf.cast(mask, x.dtype)
        mean, var = self.tf.nn.weighted_moments(x, self.reduced(x), weights, keepdims=True)
        return self.trained(x, mean, var, self.tf.reduce_any(mask))

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward with a mask."""
        return self.gradients_of(lambda x: self.training_masked(x, mask), x, dy)

    def parameters(self) -> Sequence[Any]:
        """gamma and beta, if they exist."""
        return [p for p in (self.gamma, self.beta) if p is not None]

    def state(self) -> State:
        """The running statistics."""
        return self.running


class VariablesLayer(MomentsLayer):
    """The layer over variables for gamma, beta and the running statistics."""

    def __init__(self, tf: Any, axis: int, epsilon: float, decay: float, gamma: Any, beta: Any, running: State) -> None:
        own_gamma, own_beta = (None if p is None else tf.Variable(p) for p in (gamma, beta))
        statistics = State(*(tf.Variable(s, trainable=False) for s in running))
        super().__init__(tf, axis, epsilon, decay, own_gamma, own_beta, statistics)

    def move(self, after: State) -> None:
        """Assign the running statistics."""
        for variable, value in zip(self.running, after):
            variable.assign(value)

    def restored(self) -> VariablesLayer:
        """A layer over variables saved and read back."""
        kept = dict(self.running._asdict(), gamma=self.gamma, beta=self.beta)
        read = checkpointed(self.tf, {name: v for name, v in kept.items() if v is not None})
        running = State(read["running_mean"], read["running_var"])
        return self.over(read.get("gamma"), read.get("beta"), running)

    def copied(self) -> VariablesLayer:
        """A layer over new variables with the same values."""
        return self.over(self.gamma, self.beta, self.running)

    def over(self, gamma: Any, beta: Any, running: State) -> VariablesLayer:
        """A layer like this one over new variables with these values."""
        return VariablesLayer(self.tf, self.axis, self.epsilon, self.decay, gamma, beta, running)

    def set_decay(self, decay: float) -> None:
        """Average with another decay from the next call on."""
        self.decay = decay

    def freeze(self, frozen: bool) -> None:
        """Raises Declined."""
        raise Declined("functions of variables have no such mark: what is trained is what the user's tape is asked for")

    def reset(self) -> None:
        """Raises Declined."""
        raise Declined("the variables are the user's: TensorFlow has no call that resets them")
