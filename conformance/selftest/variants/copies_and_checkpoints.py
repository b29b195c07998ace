"""Variants of operations between calls, of argument checks, and of the initial state."""

from __future__ import annotations

import json
import pickle
from typing import Any, Dict, Optional

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.contract import Declined, Gradients, Layer, LayerConfig
from bnspec.model.buffers import dtype_of
from bnspec.model.call import CLONE, FREEZE, SAVE_RESTORE, TRAINING_TANGENT_GRADIENT, TRAINING_THIRD_ORDER

Array = Any


class RestoredFromText(FullLayer):
    """Saves every value as a hexadecimal number in JSON, and reads it again."""

    calls = (SAVE_RESTORE,)

    def snapshot(self) -> Dict[str, Any]:
        arrays = {n: a for n, a in super().snapshot().items() if a is not None}
        text = json.dumps({n: [float(v).hex() for v in a] for n, a in arrays.items()})
        dtypes = {n: a.dtype for n, a in arrays.items()}
        read = {n: np.array([float.fromhex(v) for v in row]) for n, row in json.loads(text).items()}
        return {n: read[n].astype(dtypes[n]) if n in read else None for n in super().snapshot()}


class CopiedByPickle(FullLayer):
    """Copies through pickle."""

    calls = (CLONE,)

    def copied(self) -> Any:
        new = type(self).__new__(type(self))
        new.__dict__.update(pickle.loads(pickle.dumps(self.__dict__)))
        return new


class StateReplaced(FullLayer):
    """Replaces the running statistics by new arrays at every step; copies share the immutable arrays."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.mean, self.var = self.mean.copy(), self.var.copy()

    def store(self, mean: Array, var: Array) -> None:
        self.mean, self.var = (new.reshape(-1).astype(old.dtype) for new, old in ((mean, self.mean), (var, self.var)))

    def copied(self) -> Any:
        new = type(self)(self.config, self.raw_gamma, self.raw_beta, self.mean, self.var)
        new.mean, new.var, new.frozen, new.threads = self.mean, self.var, self.frozen, self.threads
        return new

    def reset(self) -> None:
        self.mean, self.var = np.zeros_like(self.mean), np.ones_like(self.var)


class FrozenByTheBatch(FullLayer):
    """Goes on normalising by the batch and moving the statistics while frozen, and declares it."""

    calls = (FREEZE,)

    declares = {"frozen_gradients": "batch"}


class FrozenHasNoParameterGradients(FullLayer):
    """Returns no dgamma and dbeta while frozen."""

    calls = (FREEZE,)

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        return super().frozen_gradients(x, dy)._replace(dgamma=None, dbeta=None)


class FrozenThirdOrderDeclined(FullLayer):
    """Offers neither third derivatives nor gradients of a tangent while frozen."""

    calls = (TRAINING_THIRD_ORDER, TRAINING_TANGENT_GRADIENT)

    def training_third_order(self, x: Array, dy: Array, v: Array) -> Array:
        if self.frozen:
            raise Declined("nothing of a frozen layer is differentiated three times")
        return super().training_third_order(x, dy, v)

    def training_tangent_gradient(self, x: Array, dy: Array, v: Array) -> Array:
        if self.frozen:
            raise Declined("nothing of a frozen layer is differentiated twice")
        return super().training_tangent_gradient(x, dy, v)


class FrozenUndeclared(FullLayer):
    """Leaves the behaviour of a frozen layer unspecified, and returns x."""

    calls = (FREEZE,)

    declares = {"frozen_gradients": "unspecified"}

    def training(self, x: Array) -> Array:
        self.check(x)
        return x.copy() if self.frozen else super().training(x)


class DecayKeptAsItsComplement(FullLayer):
    """Moves the statistics by old + (1 - decay) (new - old)."""

    def averaged(self, old: Array, new: Array) -> Array:
        return old + self.work.type(1 - self.config.decay) * (new - old)


class RefusesByType(FullLayer):
    """Raises a KeyError with a two-line message for malformed arguments."""

    def check(self, x: Array, *alike: Array) -> None:
        try:
            super().check(x, *alike)
        except ValueError as error:
            raise KeyError("malformed\n%s" % error) from None


class BeginsElsewhere(FullLayer):
    """Begins and resets with the statistics 0 and 0, and declares it."""

    declares = {"initial_var": 0.0, "frozen_gradients": "constants"}

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        new = super().begun(config)
        new.reset()
        return new

    def reset(self) -> None:
        self.mean[:], self.var[:] = 0, 0


class BeginsInFloat(FullLayer):
    """Keeps the statistics of a new layer in float32, whatever the parameters are, and declares it."""

    declares = {"state_dtype": "float32", "frozen_gradients": "constants"}

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        new = super().begun(config)
        new.mean, new.var = (a.astype(dtype_of("float32")) for a in (new.mean, new.var))
        return new

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        parameters = dtype_of(self.config.parameter_dtype)
        own = [g.astype(parameters) if self.config.affine else None for g in (dgamma, dbeta)]
        return Gradients(y, dx.astype(x.dtype), *own)


class SomeCallsDeclined(FullLayer):
    """Does not support masks, copies or networks."""

    copied = Layer.copied
    training_masked = Layer.training_masked
    training_masked_gradients = Layer.training_masked_gradients


class DebiasedAverage(FullLayer):
    """Removes the initial values from the averages: begins at 0, and divides by 1 - decay^steps."""

    declares: Dict[str, Any] = {**FullLayer.declares, "first_batch": "debiased", "initial_var": 0.0}
    #: training steps since the layer had its own initial values; None where it was given others
    begun_steps: Optional[int] = None

    def decay(self) -> Array:
        d, t = self.config.decay, self.begun_steps
        if t is None or d in (0.0, 1.0):
            return super().decay()
        return self.work.type(d * (1.0 - d**t) / (1.0 - d ** (t + 1)))

    def store(self, mean: Array, var: Array) -> None:
        super().store(mean, var)
        if self.begun_steps is not None:
            self.begun_steps += 1

    def restored(self) -> Any:
        new = super().restored()
        new.begun_steps = self.begun_steps
        return new

    def reset(self) -> None:
        self.mean[:], self.var[:] = 0, 0
        self.begun_steps = 0

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        layer = super().begun(config)
        layer.reset()
        return layer


class FirstBatchReplaces(DebiasedAverage):
    """Takes the first batch's statistics for the averages, whatever they were before."""

    declares: Dict[str, Any] = {**DebiasedAverage.declares, "first_batch": "replace"}

    def decay(self) -> Array:
        return self.work.type(0) if self.begun_steps == 0 and self.config.decay != 1.0 else FullLayer.decay(self)
