"""Mutants of epsilon: its place, its size, and leaks into other values."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.model.call import TRAINING_TANGENT

Array = Any

TRAINING, INFERENCE = "epsilon.inside_root_in_training", "epsilon.inside_root_in_inference"
GIVEN, LEAK = "epsilon.as_given", "epsilon.not_in_running_variance"
#: The default epsilon.
DEFAULT = 1e-5


class EpsilonOutsideRoot(PlainLayer):
    """Adds epsilon to the standard deviation: 1 / (sqrt(var) + epsilon)."""

    family, killed_by = "epsilon", (TRAINING, INFERENCE)

    def inv_std(self, var: Array) -> Array:
        return 1 / (np.sqrt(var) + self.epsilon())


class EpsilonAsFloor(PlainLayer):
    """Takes the larger of variance and epsilon in place of their sum."""

    family, killed_by = "epsilon", (TRAINING, INFERENCE)

    def inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(np.maximum(var, self.epsilon()))


class EpsilonForZeroOnly(PlainLayer):
    """Takes epsilon for a variance of 0, and leaves it out of all others."""

    family, killed_by = "epsilon", (TRAINING, INFERENCE)

    def inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(np.where(var == 0, self.epsilon(), var))


class EpsilonTwice(PlainLayer):
    """Adds epsilon to the variance, and once more inside the root."""

    family, killed_by = "epsilon", (TRAINING, INFERENCE)

    def epsilon(self) -> Array:
        return self.work.type(2 * self.config.epsilon)


class EpsilonSquared(PlainLayer):
    """Adds epsilon's square, as if epsilon were a standard deviation."""

    family, killed_by = "epsilon", (TRAINING, INFERENCE, GIVEN)

    def epsilon(self) -> Array:
        return self.work.type(self.config.epsilon**2)


class EpsilonRelative(PlainLayer):
    """Multiplies the variance by 1 + epsilon."""

    family, killed_by = "epsilon", (TRAINING, INFERENCE)

    def inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(var * (1 + self.epsilon()))


class EpsilonAddedToTheCount(PlainLayer):
    """Divides the squared deviations by m + epsilon, and adds nothing inside the root."""

    family, killed_by = "epsilon", (TRAINING,)

    def training_statistics(self, x: Array) -> Tuple[Array, Array]:
        mean, var = self.moments(x)
        count = self.count(x)
        return mean, var * self.work.type(count / (count + self.config.epsilon)) - self.epsilon()


class EpsilonScaledByTheInput(PlainLayer):
    """Scales x by its largest value against overflow, and forgets to scale epsilon with it."""

    family, killed_by = "epsilon", (TRAINING, GIVEN)

    def training_statistics(self, x: Array) -> Tuple[Array, Array]:
        mean, var = self.moments(x)
        largest = np.max(np.abs(x), axis=self.axes, keepdims=True)
        return mean, var + self.epsilon() * (np.square(largest) - 1)


class EpsilonClamped(PlainLayer):
    """Raises epsilon to 1.001e-5 without saying so."""

    family, killed_by, path = "epsilon", (GIVEN,), "epsilon below 1.001e-5"

    def epsilon(self) -> Array:
        return self.work.type(max(self.config.epsilon, 1.001e-5))


class EpsilonCapped(PlainLayer):
    """Takes no epsilon above 1e-3."""

    family, killed_by, path = "epsilon", (TRAINING, INFERENCE), "epsilon above 1e-3"

    def epsilon(self) -> Array:
        return self.work.type(min(self.config.epsilon, 1e-3))


class EpsilonInHalf(PlainLayer):
    """Stores epsilon in float16, where 1e-12 is 0."""

    family, killed_by, path = "epsilon", (GIVEN,), "epsilon below 2^-24"

    def epsilon(self) -> Array:
        return self.work.type(np.float16(self.config.epsilon))


class EpsilonLostWhenTiny(PlainLayer):
    """Rounds an epsilon below 1e-10 to 0, as a text format with ten places does."""

    family, killed_by, path = "epsilon", (GIVEN,), "epsilon below 1e-10"

    def epsilon(self) -> Array:
        return self.work.type(round(self.config.epsilon, 10))


class EpsilonMissingInInference(PlainLayer):
    """Forgets epsilon in inference."""

    family, killed_by, path = "epsilon", (INFERENCE, GIVEN), "inference"

    def inference_inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(var)


class EpsilonOfTheDefaultInInference(PlainLayer):
    """Takes the default epsilon in inference."""

    family, killed_by, path = "epsilon", (INFERENCE, GIVEN), "inference"

    def inference_inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(var + self.work.type(DEFAULT))


class EpsilonOfTheDefaultWithoutAffine(PlainLayer):
    """Takes the default epsilon where there are no gamma and beta."""

    family, killed_by, path = "epsilon", (TRAINING, INFERENCE), "no gamma and beta"

    def epsilon(self) -> Array:
        return super().epsilon() if self.config.affine else self.work.type(DEFAULT)


class EpsilonOfTheDefaultInBackward(PlainLayer):
    """Recomputes inv_std in the backward pass of training with the default epsilon."""

    family, killed_by, path = "gradient", ("gradient.training_dx", "gradient.training_dgamma"), "backward"

    def backward_inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(var + self.work.type(DEFAULT))


class EpsilonMissingInBackward(PlainLayer):
    """Recomputes inv_std in the backward pass of training without epsilon."""

    family, killed_by, path = "gradient", ("gradient.training_dx", "gradient.training_dgamma"), "backward"

    def backward_inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(var)


class EpsilonInRunningVariance(PlainLayer):
    """Recovers the variance from inv_std and leaves epsilon in it."""

    family, killed_by = "epsilon", (LEAK,)

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return super().new_var(old, 1 / np.square(self.inv_std(var)), count)


class EpsilonTwiceInRunningVariance(PlainLayer):
    """Stores var + 2 epsilon: added before the root, and again after it was inverted."""

    family, killed_by = "epsilon", (LEAK,)

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return super().new_var(old, var + 2 * self.epsilon(), count)


class EpsilonInRunningVarianceWithGradients(PlainLayer):
    """Leaves epsilon in the running variance where gradients are recorded, since only then inv_std is kept."""

    family, killed_by, path = "epsilon", (LEAK,), "training with gradients"
    recording = False

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return super().new_var(old, var + self.epsilon() if self.recording else var, count)

    def training_gradients(self, x: Array, dy: Array) -> Any:
        self.recording = True
        result = super().training_gradients(x, dy)
        self.recording = False
        return result


class VarianceFloored(PlainLayer):
    """Takes no variance below 1e-6, beside adding epsilon."""

    family, killed_by, path = "epsilon", (TRAINING, INFERENCE, GIVEN), "variance below 1e-6"

    def inv_std(self, var: Array) -> Array:
        return super().inv_std(np.maximum(var, self.work.type(1e-6)))


class EpsilonAtMostOne(PlainLayer):
    """Takes no epsilon above 1."""

    family, killed_by, path = "epsilon", (TRAINING, INFERENCE, GIVEN), "epsilon above 1"

    def epsilon(self) -> Array:
        return self.work.type(min(self.config.epsilon, 1.0))


class VarianceLeftOutBesideAHugeEpsilon(PlainLayer):
    """Adds no variance to an epsilon of 100 or more."""

    family, path = "epsilon", "an epsilon of 100"
    killed_by = ("epsilon.inside_root_in_training", "epsilon.inside_root_in_inference")

    def inv_std(self, var: Array) -> Array:
        return super().inv_std(var * self.work.type(self.config.epsilon < 100))


class EpsilonLeftOutOfTheTangent(FullLayer):
    """Divides by the variance alone in the derivative of inv_std along a direction, where epsilon is large."""

    family, killed_by, path = "gradient", ("gradient.forward_mode",), "forward mode, epsilon above 1"
    calls = (TRAINING_TANGENT,)

    def root_along(self, moved: Array, centred: Array, inv_std: Array) -> Array:
        if self.config.epsilon <= 1:
            return super().root_along(moved, centred, inv_std)
        return -inv_std / self.average(np.square(centred)) * self.average(moved * centred)
