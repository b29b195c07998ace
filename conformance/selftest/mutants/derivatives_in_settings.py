"""Mutants of derivatives asked for in other ways, which are wrong only in some dtype, setting, memory or history."""

from __future__ import annotations

from typing import Any, Callable, Tuple

import numpy as np

from bnspec.conformance.selftest.mutants.layouts import misread, permuted
from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.contract import Gradients, SecondOrder, Tangent
from bnspec.model.call import (
    INFERENCE_LATE_GRADIENTS,
    INFERENCE_SECOND_ORDER,
    TRAINING_LATE_GRADIENTS,
    TRAINING_SECOND_ORDER,
    TRAINING_SOME_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
    TRAINING_TANGENT,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
)
from bnspec.model.conventions import HALVES

Array = Any

OTHER, FORWARD = ("second_order.cotangent_and_scale",), ("gradient.forward_mode",)
OWN = ("gradient.of_its_own_forward_pass",)


def thawed(layer: FullLayer, derivative: Callable[[], Array]) -> Array:
    """A derivative of the layer as if it were not frozen; its statistics stay."""
    mean, var, frozen = layer.mean.copy(), layer.var.copy(), layer.frozen
    layer.frozen = False
    found = derivative()
    layer.frozen = frozen
    if frozen:
        layer.store(mean, var)
    return found


class ScaleDerivativeDividedByGamma(FullLayer):
    """Divides <v, dx> by gamma for its derivative by gamma."""

    family, killed_by, calls, path = "second_order", OTHER, (TRAINING_SECOND_ORDER,), "a gamma of 0"

    def second_by_gamma(self, dy: Array, v: Array, zhat: Array, inv_std: Array) -> Array:
        gamma = self.gamma()
        return (v * (gamma * inv_std * self.project(dy, zhat)) / gamma).sum(axis=self.axes)


class EpsilonOfForwardModeNeverZero(FullLayer):
    """Takes an epsilon of 0 for none given, in forward mode."""

    family, killed_by, calls, path = "gradient", FORWARD, (TRAINING_TANGENT,), "no epsilon"

    def tangent(self, v: Array, centred: Array, inv_std: Array) -> Array:
        if self.config.epsilon == 0:
            inv_std = 1 / np.sqrt(1 / np.square(inv_std) + self.work.type(1e-5))
        return super().tangent(v, centred, inv_std)


class TangentsOfAllChannelsSpoiled(FullLayer):
    """Forward mode multiplies all channels by one number, which is NaN where a single channel is."""

    family, killed_by, calls, path = "gradient", FORWARD, (TRAINING_TANGENT,), "NaN in one channel"

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        found = super().training_tangent(x, v)
        one = np.float32(1) if np.isfinite(found.along.astype(np.float64)).all() else np.float32(np.nan)
        return found._replace(along=(found.along * one).astype(x.dtype))


class HalfDerivativeByCotangentUnprojected(FullLayer):
    """In half precision the derivative of dx by dy lacks its part along zhat."""

    family, killed_by, calls, path = "second_order", OTHER, (TRAINING_SECOND_ORDER,), "half precision"

    def second_by_dy(self, v: Array, zhat: Array, inv_std: Array) -> Array:
        if self.config.dtype not in HALVES:
            return super().second_by_dy(v, zhat, inv_std)
        return self.gamma() * inv_std * (v - self.average(v))


class HalfGradientAloneUnprojected(FullLayer):
    """In half precision dx, asked for alone, lacks its part along zhat."""

    family, killed_by, path = "dtype", ("dtype.half_is_as_exact_as_declared",), "half precision, dx alone"
    calls = (TRAINING_SOME_GRADIENTS,)
    alone = False

    def training_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        self.alone = tuple(wanted) == ("dx",) and x.dtype.name in HALVES
        found = super().training_some_gradients(x, dy, wanted)
        self.alone = False
        return found

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return super().training_dx(dy, np.zeros_like(zhat) if self.alone else zhat, inv_std)


class ThirdOrderReadsPermutedMemory(FullLayer):
    """Third order reads the memory of a permuted x as if it were packed."""

    family, killed_by, path = (
        "second_order",
        ("second_order.third_derivative", "running.moves_once_with_gradients"),
        "x permuted",
    )
    calls = (TRAINING_THIRD_ORDER,)

    def training_third_order(self, x: Array, dy: Array, v: Array) -> Array:
        return super().training_third_order(misread(x) if permuted(x) else x, dy, v)


class ThirdDerivativesShareABuffer(FullLayer):
    """Writes each third derivative where the one before lies."""

    family, killed_by, path = "purity", ("purity.results_stay",), "third order, twice on one layer"
    calls = (TRAINING_THIRD_ORDER,)
    buffer: Any = None

    def training_third_order(self, x: Array, dy: Array, v: Array) -> Array:
        found = super().training_third_order(x, dy, v)
        if self.buffer is None or self.buffer.shape != x.shape:
            self.buffer = np.empty_like(found)
        self.buffer[...] = found
        return self.buffer


class InferenceModeSticks(FullLayer):
    """Normalises the step after second derivatives in inference by the running statistics, as if that mode were still on."""

    family, killed_by, calls = "training", ("training.output",), (INFERENCE_SECOND_ORDER,)
    path, stuck = "a step after second derivatives in inference", False

    def inference_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        self.stuck = True
        return super().inference_second_order(x, dy, v)

    def training_statistics(self, x: Array) -> Tuple[Array, Array]:
        stuck, self.stuck = self.stuck, False
        return self.inference_statistics(x) if stuck else super().training_statistics(x)


class LateGradientsOfReplacedStatistics(FullLayer):
    """Saves the running mean in place of the batch's where a decay of 0 makes them equal: a later step replaces it."""

    family, killed_by, calls, path = "gradient", OWN, (TRAINING_LATE_GRADIENTS,), "no decay"

    def training_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        found = super().training_late_gradients(x, dy, other)
        if self.config.decay != 0 or found.dgamma is None or not x.size:
            return found
        wide = self.values(x)
        zhat = (wide - self.wide(self.mean)) * self.inv_std(self.moments(wide)[1])
        return found._replace(dgamma=self.total(self.cotangent(dy) * zhat).astype(found.dgamma.dtype))


class LateInferenceOfReplacedStatistics(FullLayer):
    """Reads the running variance of inference when its backward pass comes, where the step between had no decay."""

    family, killed_by, calls, path = "gradient", OWN, (INFERENCE_LATE_GRADIENTS,), "no decay"

    def inference_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        found = super().inference_late_gradients(x, dy, other)
        if self.config.decay != 0:
            return found
        dx = self.gamma() * self.inference_inv_std(self.wide(self.var)) * self.cotangent(dy)
        return found._replace(dx=dx.astype(x.dtype))


class StateGradientsMoveTwice(FullLayer):
    """Takes a second step where a loss reads the statistics."""

    family, killed_by, calls = "running", ("running.moves_once_with_gradients",), (TRAINING_STATE_GRADIENTS,)

    def training_state_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().training_state_gradients(x, dy)
        if not self.frozen and x.size:
            self.update(self.values(x))
        return found


class FrozenStateGradientsThroughTheMean(FullLayer):
    """Lets a loss that reads the statistics differentiate the update that a frozen layer does not take."""

    family, killed_by = "gradient", ("gradient.frozen_statistics", "gradient.none_through_the_running_update")
    calls, path = (TRAINING_STATE_GRADIENTS,), "frozen"

    def training_state_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().training_state_gradients(x, dy)
        if not self.frozen or not x.size:
            return found
        share = (1 - self.decay()) / self.work.type(self.count(x))
        return found._replace(dx=(found.dx.astype(self.work) + share).astype(x.dtype))


class FrozenThirdDerivativeThroughTheBatch(FullLayer):
    """Takes third derivatives of a frozen layer through the statistics of the batch, and keeps the running ones."""

    family, killed_by, path = "second_order", ("second_order.third_derivative",), "frozen"
    calls = (TRAINING_THIRD_ORDER,)

    def training_third_order(self, x: Array, dy: Array, v: Array) -> Array:
        through = super().training_third_order
        return thawed(self, lambda: through(x, dy, v))


class FrozenTangentGradientThroughTheBatch(FullLayer):
    """Takes the gradient of a frozen layer's tangent through the statistics of the batch, and keeps the running ones."""

    family, killed_by, path = "second_order", ("second_order.gradient_of_the_tangent",), "frozen"
    calls = (TRAINING_TANGENT_GRADIENT,)

    def training_tangent_gradient(self, x: Array, dy: Array, v: Array) -> Array:
        through = super().training_tangent_gradient
        return thawed(self, lambda: through(x, dy, v))


class FrozenThirdDerivativeMoves(FullLayer):
    """Moves the statistics of a frozen layer in a third derivative."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen"
    calls = (TRAINING_THIRD_ORDER,)

    def training_third_order(self, x: Array, dy: Array, v: Array) -> Array:
        found = super().training_third_order(x, dy, v)
        if self.frozen:
            self.update(self.values(x))
        return found


class TangentGradientOverTheWidth(FullLayer):
    """Divides the gradient of a tangent by the width where the channels are last."""

    family, killed_by = "second_order", ("second_order.gradient_of_the_tangent",)
    calls, path = (TRAINING_TANGENT_GRADIENT,), "images, channels last"

    def training_tangent_gradient(self, x: Array, dy: Array, v: Array) -> Array:
        found = super().training_tangent_gradient(x, dy, v)
        last = x.ndim > 2 and self.config.channel_axis == x.ndim - 1
        return found / found.dtype.type(x.shape[-2]) if last else found


class LateMeansOverTheLaterCount(FullLayer):
    """Divides the sums of a late backward pass by the count of the batch between."""

    family, killed_by, calls, path = "gradient", OWN, (TRAINING_LATE_GRADIENTS,), "a batch of another size between"
    share: Any = 1.0

    def training_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        self.share = self.work.type(self.count(x) / max(self.count(other), 1))
        found = super().training_late_gradients(x, dy, other)
        self.share = self.work.type(1)
        return found

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        left = dy - self.share * (self.average(dy) + zhat * self.average(dy * zhat))
        return self.gamma() * inv_std * left
