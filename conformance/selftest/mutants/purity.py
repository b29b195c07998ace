"""Mutants of the requirements on every call: arguments, memory, repeatability, termination."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients

Array = Any

ARGUMENTS, NEW, SHARED = ("purity.arguments",), ("purity.results_are_new",), ("purity.shared_arguments",)


class WritesIntoInput(PlainLayer):
    """Centres x in place in training, once x is an image."""

    family, killed_by, path = "purity", ARGUMENTS, "training, rank 4"

    def forward(self, x: Array) -> Array:
        y = super().forward(x)
        if x.ndim == 4 and x.flags.writeable and x.size:
            x -= x.mean(axis=self.axes, keepdims=True).astype(x.dtype)
        return y


class WritesIntoInputWithoutAffine(PlainLayer):
    """Uses x as scratch where there are no gamma and beta."""

    family, killed_by, path = "purity", ARGUMENTS, "no gamma and beta"

    def infer(self, x: Array) -> Array:
        y = super().infer(x)
        if not self.config.affine and x.flags.writeable:
            x[...] = y
        return y


class WritesIntoCotangent(PlainLayer):
    """Centres dy in place in the backward pass."""

    family, killed_by, path = "purity", ARGUMENTS, "backward"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().training_gradients(x, dy)
        if dy.flags.writeable and dy.size:
            dy -= dy.mean(axis=self.axes, keepdims=True).astype(dy.dtype)
        return result


class WritesIntoGamma(PlainLayer):
    """Folds inv_std into gamma in place in inference."""

    family, killed_by, path = "purity", ARGUMENTS, "inference"

    def infer(self, x: Array) -> Array:
        y = super().infer(x)
        if self.raw_gamma is not None:
            self.raw_gamma[:] = (self.gamma() * self.inference_inv_std(self.wide(self.var))).reshape(-1)
        return y


class WritesStateFirst(PlainLayer):
    """Moves the running statistics before it reads gamma and beta."""

    family, killed_by, path = "purity", SHARED, "parameters in the memory of the statistics"

    def forward(self, x: Array) -> Array:
        self.steps += 1
        if x.size == 0:
            return x.astype(self.result_dtype(x))
        wide = self.values(x)
        mean, var = self.training_statistics(wide)
        self.update(wide)
        return self.output(wide, mean, self.inv_std(var)).astype(self.result_dtype(x))


class ReturnsBetaItself(PlainLayer):
    """Writes dbeta into beta's memory and returns that."""

    family, killed_by, path = "purity", (*NEW, *ARGUMENTS), "backward"

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        result = super().gradients(x, y, dx, dgamma, dbeta)
        return result._replace(dbeta=self.raw_beta) if self.config.affine else result


class ReturnsDxInCotangent(PlainLayer):
    """Writes dx of inference into dy and returns it."""

    family, killed_by, path = "purity", (*NEW, *ARGUMENTS), "inference backward"

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().inference_gradients(x, dy)
        if not dy.flags.writeable or dy.dtype != result.dx.dtype:
            return result
        dy[...] = result.dx
        return result._replace(dx=dy)


class NoiseInTheLastPlace(PlainLayer):
    """Rounds y of training in a direction that changes from call to call, as racing threads do."""

    family, killed_by, path = "training", ("training.repeatable",), "training"
    number = 0

    def forward(self, x: Array) -> Array:
        y = super().forward(x)
        type(self).number += 1
        away = np.inf if type(self).number % 2 else -np.inf
        return y if self.config.dtype.endswith("16") else np.nextafter(y, y.dtype.type(away))


class NoiseInTheState(PlainLayer):
    """Rounds the running mean in a direction that changes from call to call."""

    family, killed_by, path = "training", ("training.repeatable",), "training"
    number = 0

    def store(self, mean: Array, var: Array) -> None:
        type(self).number += 1
        super().store(np.nextafter(mean, mean.dtype.type(np.inf if type(self).number % 2 else -np.inf)), var)


class NoiseInInference(PlainLayer):
    """Rounds y of inference in a direction that changes from call to call."""

    family, killed_by, path = "inference", ("inference.repeatable",), "inference"
    number = 0

    def infer(self, x: Array) -> Array:
        y = super().infer(x)
        type(self).number += 1
        away = np.inf if type(self).number % 2 else -np.inf
        return y if self.config.dtype.endswith("16") else np.nextafter(y, y.dtype.type(away))


class OneRowByAnotherFormula(PlainLayer):
    """Folds scale and shift for a batch of one row, and not for larger ones."""

    family, killed_by, path = "inference", ("inference.bits_are_independent_of_batch",), "inference, a batch of 1"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        if x.shape[0] != 1:
            return super().output(x, mean, inv_std)
        scale = self.gamma() * inv_std
        return x * scale + (self.beta() - mean * scale)


class InferenceMovesState(PlainLayer):
    """Moves the statistics in inference when gradients are recorded."""

    family, killed_by, path = "inference", ("inference.keeps_state",), "inference with gradients"

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().inference_gradients(x, dy)
        if x.size:
            self.update(self.values(x))
        return result


class InferenceMovesStateWithoutGradients(PlainLayer):
    """Moves the statistics in inference when no gradients are recorded."""

    family, killed_by, path = "inference", ("inference.keeps_state",), "inference without gradients"

    def inference(self, x: Array) -> Array:
        y = super().inference(x)
        if x.size:
            self.update(self.values(x))
        return y


class InferenceRoundsState(PlainLayer):
    """Writes the running variance back from inv_std."""

    family, killed_by, path = "inference", ("inference.keeps_state",), "inference"

    def infer(self, x: Array) -> Array:
        y = super().infer(x)
        self.var[:] = (1 / np.square(self.inference_inv_std(self.wide(self.var))) - self.epsilon()).reshape(-1)
        return y


class SecondInferenceMovesState(PlainLayer):
    """Moves the running mean from the second inference on."""

    family, killed_by, path = "inference", ("inference.keeps_state",), "second inference"

    def infer(self, x: Array) -> Array:
        y = super().infer(x)
        if self.inferences > 1 and x.size:
            self.mean[:] = self.averaged(self.wide(self.mean), self.average(self.values(x))).reshape(-1)
        return y


class VolumesRefused(PlainLayer):
    """Raises for rank 5, which its conventions declare as supported."""

    family, killed_by, path = "contract", ("contract.accepts",), "rank 5"

    def infer(self, x: Array) -> Array:
        if x.ndim == 5:
            raise NotImplementedError("rank 5")
        return super().infer(x)


class EndsItsProcess(PlainLayer):
    """Ends the process on an empty batch, as a division of integers by 0 does."""

    family, killed_by, path, isolated = "contract", ("contract.completes",), "an empty batch", True

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            os._exit(3)
        return super().forward(x)


class Hangs(PlainLayer):
    """Waits for a block that never comes on an empty batch of images with the channels last."""

    family, killed_by, path, isolated = "contract", ("contract.completes",), "an empty batch, channels last", True

    def forward(self, x: Array) -> Array:
        if x.size == 0 and self.config.channel_axis == 3:
            time.sleep(3600)
        return super().forward(x)


class ResultMemoryReused(PlainLayer):
    """Returns y in memory that the next call writes to."""

    family, killed_by, path = "purity", ("purity.results_stay",), "second call"
    scratch: Any = None

    def training(self, x: Array) -> Array:
        return self.reused(super().training(x))

    def inference(self, x: Array) -> Array:
        return self.reused(super().inference(x))

    def reused(self, y: Array) -> Array:
        """y, in the memory of the result before where it fits."""
        if self.scratch is None or self.scratch.shape != y.shape:
            self.scratch = np.empty_like(y)
        self.scratch[...] = y
        return self.scratch


class ResultBuffersTakeTurns(PlainLayer):
    """Returns y in one of two buffers in turn: the next call leaves it alone, the one after that writes to it."""

    family, killed_by, path = "purity", ("purity.results_stay",), "third call"
    buffers: Any = ()

    def training(self, x: Array) -> Array:
        return self.held(super().training(x))

    def inference(self, x: Array) -> Array:
        return self.held(super().inference(x))

    def held(self, y: Array) -> Array:
        """y, in the memory of the result before the last where it fits."""
        used = self.buffers[0] if len(self.buffers) == 2 and self.buffers[0].shape == y.shape else np.empty_like(y)
        used[...] = y
        self.buffers = (*self.buffers[-1:], used)
        return used


class ResultsOfOneShapeShareMemory(PlainLayer):
    """Returns y and dbeta in memory that the next call of the same kind writes to, where their shapes are the same."""

    family, killed_by, path = "purity", ("purity.results_stay",), "second batch of one shape"

    def infer(self, x: Array) -> Array:
        return self.kept("y", super().infer(x))

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        found = super().gradients(x, y, dx, dgamma, dbeta)
        return found if found.dbeta is None else found._replace(dbeta=self.kept("dbeta", found.dbeta))

    def kept(self, name: str, result: Array) -> Array:
        """The result, in the memory of the one before where it fits."""
        old = self.__dict__.get("kept_" + name)
        if old is None or old.shape != result.shape or old.dtype != result.dtype:
            self.__dict__["kept_" + name] = old = np.empty_like(result)
        old[...] = result
        return old


class NeutralLayerReturnsX(PlainLayer):
    """Returns x itself in inference where there is nothing to do."""

    family, killed_by, path = "purity", NEW, "no gamma, beta and epsilon, mean 0 and variance 1"

    def inference(self, x: Array) -> Array:
        neutral = self.raw_gamma is None and self.config.epsilon == 0 and not self.mean.any() and (self.var == 1).all()
        y = super().inference(x)
        return x if neutral and x.dtype == self.work else y
