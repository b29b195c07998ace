"""Mutants of second derivatives, forward mode, and gradients requested alone."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.contract import Gradients, SecondOrder, Tangent
from bnspec.model.call import (
    INFERENCE_LATE_GRADIENTS,
    INFERENCE_SECOND_ORDER,
    INFERENCE_SOME_GRADIENTS,
    INFERENCE_TANGENT,
    TRAINING_LATE_GRADIENTS,
    TRAINING_SECOND_ORDER,
    TRAINING_SOME_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
    TRAINING_TANGENT,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
)

Array = Any

TRAINING, INFERENCE = ("second_order.training",), ("second_order.inference",)
OTHER, FORWARD = ("second_order.cotangent_and_scale",), ("gradient.forward_mode",)
THIRD = ("second_order.third_derivative",)
TANGENT = ("second_order.gradient_of_the_tangent",)
OWN = ("gradient.of_its_own_forward_pass",)
UPDATE = ("gradient.none_through_the_running_update",)
ALONE, MOVES = ("gradient.each_argument_alone",), ("running.moves_once_with_gradients",)
SECOND_CALLS = (TRAINING_SECOND_ORDER, INFERENCE_SECOND_ORDER)
TANGENT_CALLS = (TRAINING_TANGENT, INFERENCE_TANGENT)
SOME_CALLS = (TRAINING_SOME_GRADIENTS, INFERENCE_SOME_GRADIENTS)


class SavedStatisticsConstantInSecondOrder(FullLayer):
    """Differentiates dx by x with mean and inv_std as constants, as saved values are."""

    family, killed_by, calls = "second_order", TRAINING, SECOND_CALLS

    def through_root(self, dy: Array, v: Array, zhat: Array) -> Array:
        return np.zeros_like(dy)

    def project(self, v: Array, zhat: Array) -> Array:
        return v

    def second_by_dy(self, v: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * super().project(v, zhat)


class SecondOrderWithoutTheRoot(FullLayer):
    """Leaves the derivative of inv_std out of the second derivatives."""

    family, killed_by, calls = "second_order", TRAINING, SECOND_CALLS

    def through_root(self, dy: Array, v: Array, zhat: Array) -> Array:
        return np.zeros_like(dy)


class SecondOrderInOnePlace(FullLayer):
    """Differentiates one of the two places where the normalised values stand."""

    family, killed_by, calls = "second_order", TRAINING, SECOND_CALLS

    def through_values(self, dy: Array, v: Array, zhat: Array) -> Array:
        return self.average(dy * zhat) * self.project(v, zhat)


class SecondOrderOfTheOtherSign(FullLayer):
    """Returns the second derivative by x with the other sign."""

    family, killed_by, calls = "second_order", TRAINING, SECOND_CALLS

    def second_by_x(self, *arguments: Array) -> Array:
        return -super().second_by_x(*arguments)


class SecondOrderOfRanksAboveTwo(FullLayer):
    """Divides by the batch's extent rather than by the count in a mean of the second derivative by x."""

    family, killed_by, calls, path = "second_order", TRAINING, SECOND_CALLS, "rank above 2"

    def through_root(self, dy: Array, v: Array, zhat: Array) -> Array:
        rows = dy.shape[0] if self.config.channel_axis else self.count(dy)
        return super().through_root(dy, v, zhat) * self.work.type(self.count(dy) / rows)


class SecondOrderOfVolumesWithoutTheRoot(FullLayer):
    """Leaves the derivative of inv_std out of the second derivatives of rank 5."""

    family, killed_by, calls, path = "second_order", TRAINING, SECOND_CALLS, "rank 5"

    def through_root(self, dy: Array, v: Array, zhat: Array) -> Array:
        return super().through_root(dy, v, zhat) * self.work.type(dy.ndim != 5)


class SecondOrderWithoutAffineConstant(FullLayer):
    """Takes inv_std for a constant in the second derivatives of a layer without gamma and beta."""

    family, killed_by, calls, path = "second_order", TRAINING, SECOND_CALLS, "no gamma and beta"

    def through_root(self, dy: Array, v: Array, zhat: Array) -> Array:
        return super().through_root(dy, v, zhat) * self.work.type(self.config.affine)


class SecondOrderByDyUncentred(FullLayer):
    """Leaves the means out of the derivative by dy."""

    family, killed_by, calls = "second_order", OTHER, SECOND_CALLS

    def second_by_dy(self, v: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * v


class SecondOrderByGammaHoldsGamma(FullLayer):
    """Multiplies the derivative by gamma with gamma."""

    family, killed_by, calls = "second_order", OTHER, SECOND_CALLS

    def second_by_gamma(self, *arguments: Array) -> Array:
        return super().second_by_gamma(*arguments) * self.gamma().reshape(-1)


class SecondOrderByGammaWithoutVariance(FullLayer):
    """Centres, and does no more, in the derivative by gamma."""

    family, killed_by, calls = "second_order", OTHER, SECOND_CALLS

    def second_by_gamma(self, dy: Array, v: Array, zhat: Array, inv_std: Array) -> Array:
        return (inv_std * v * (dy - self.average(dy))).sum(axis=self.axes)


class SecondOrderOfTrainingInInference(FullLayer):
    """Takes the second derivatives of training in inference."""

    family, killed_by, calls = "second_order", INFERENCE, SECOND_CALLS

    def inference_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        if not x.size:
            return super().inference_second_order(x, dy, v)
        wide, dy, v = self.values(x), self.cotangent(dy), self.values(v)
        mean, var = self.moments(wide)
        inv_std = self.inv_std(var)
        zhat = (wide - mean) * inv_std
        found = self.second_by_x(dy, v, zhat, inv_std), self.second_by_dy(v, zhat, inv_std)
        return self.second_order(x, *found, self.second_by_gamma(dy, v, zhat, inv_std))


class SecondOrderInferenceForgetsGamma(FullLayer):
    """Leaves gamma out of the derivative by dy in inference."""

    family, killed_by, calls = "second_order", INFERENCE, SECOND_CALLS

    def inference_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        found = super().inference_second_order(x, dy, v)
        return found._replace(by_dy=(self.inference_inv_std(self.wide(self.var)) * v).astype(x.dtype))


class SecondOrderInferenceByGammaAveraged(FullLayer):
    """Takes the mean for the sum in the derivative by gamma in inference."""

    family, killed_by, calls = "second_order", INFERENCE, SECOND_CALLS

    def inference_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        found = super().inference_second_order(x, dy, v)
        if found.by_gamma is None or not x.size:
            return found
        return found._replace(by_gamma=found.by_gamma / found.by_gamma.dtype.type(self.count(x)))


class TangentWithoutTheVariance(FullLayer):
    """Ignores the path through the variance in forward mode."""

    family, killed_by, calls = "gradient", FORWARD, TANGENT_CALLS

    def root_along(self, moved: Array, centred: Array, inv_std: Array) -> Array:
        return np.zeros_like(inv_std)


class TangentWithoutTheMean(FullLayer):
    """Ignores the path through the mean in forward mode."""

    family, killed_by, calls = "gradient", FORWARD, TANGENT_CALLS

    def tangent(self, v: Array, centred: Array, inv_std: Array) -> Array:
        return self.gamma() * (v * inv_std + centred * self.root_along(v, centred, inv_std))


class TangentOfInferenceCentred(FullLayer):
    """Subtracts the direction's mean in inference."""

    family, killed_by, calls, path = "gradient", FORWARD, TANGENT_CALLS, "inference"

    def inference_tangent(self, x: Array, v: Array) -> Tangent:
        found = super().inference_tangent(x, v)
        return found._replace(along=(found.along - self.average(self.values(found.along))).astype(x.dtype))


class TangentHoldsBeta(FullLayer):
    """Adds beta to the derivative along a direction."""

    family, killed_by, calls = "gradient", FORWARD, TANGENT_CALLS

    def tangent(self, v: Array, centred: Array, inv_std: Array) -> Array:
        return super().tangent(v, centred, inv_std) + self.beta()


class TangentsOutputUnshifted(FullLayer):
    """Returns y without beta beside the derivative along a direction."""

    family, killed_by, calls = "gradient", FORWARD, TANGENT_CALLS

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        found = super().training_tangent(x, v)
        return found._replace(y=(found.y - self.beta()).astype(found.y.dtype))


class ScaleGradientNeedsDx(FullLayer):
    """Takes dgamma from uncentred values where dx is not wanted."""

    family, killed_by, calls, path = "gradient", ALONE, SOME_CALLS, "dx is not wanted"

    def training_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        found = super().training_some_gradients(x, dy, wanted)
        if "dx" in wanted or found.dgamma is None or not x.size:
            return found
        wide = self.values(x)
        uncentred = self.cotangent(dy) * wide * self.inv_std(self.moments(wide)[1])
        return found._replace(dgamma=uncentred.sum(axis=self.axes).astype(found.dgamma.dtype))


class ShiftGradientMissingBesideDx(FullLayer):
    """Returns no dbeta where dx is wanted, and dgamma is not."""

    family, killed_by, calls, path = "gradient", ALONE, SOME_CALLS, "dx and dbeta"

    def some(self, found: Gradients, wanted: Tuple[str, ...]) -> Gradients:
        found = super().some(found, wanted)
        return found._replace(dbeta=None) if "dx" in wanted and "dgamma" not in wanted else found


class DxAloneTakesStatisticsAsConstants(FullLayer):
    """Takes mean and variance as constants where dx alone is wanted."""

    family, killed_by, calls, path = "gradient", ALONE, SOME_CALLS, "dx alone"

    def training_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        found = super().training_some_gradients(x, dy, wanted)
        if wanted != ("dx",) or not x.size:
            return found
        inv_std = self.inv_std(self.moments(self.values(x))[1])
        return found._replace(dx=(self.gamma() * inv_std * self.cotangent(dy)).astype(x.dtype))


class ShiftGradientAloneIsAMean(FullLayer):
    """Averages dy where dbeta alone is wanted."""

    family, killed_by, calls, path = "gradient", ALONE, SOME_CALLS, "dbeta alone"

    def some(self, found: Gradients, wanted: Tuple[str, ...]) -> Gradients:
        some = super().some(found, wanted)
        if wanted != ("dbeta",) or some.dbeta is None or not found.y.size:
            return some
        return some._replace(dbeta=some.dbeta / some.dbeta.dtype.type(self.count(found.y)))


class GradientsSwappedWithoutDx(FullLayer):
    """Returns dgamma and dbeta in the other order where both are wanted, and dx is not."""

    family, killed_by, calls, path = "gradient", ALONE, SOME_CALLS, "dgamma and dbeta"

    def some(self, found: Gradients, wanted: Tuple[str, ...]) -> Gradients:
        some = super().some(found, wanted)
        return some._replace(dgamma=some.dbeta, dbeta=some.dgamma) if wanted == ("dgamma", "dbeta") else some


class SomeGradientsMoveTwice(FullLayer):
    """Moves the running statistics once for y and once for the gradients, where some are wanted."""

    family, killed_by, calls = "running", MOVES, SOME_CALLS

    def training_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        if x.size and not self.constant:
            self.update(self.values(x))
        return super().training_some_gradients(x, dy, wanted)


class SecondOrderMovesNothing(FullLayer):
    """Leaves the running statistics where second derivatives are taken."""

    family, killed_by, calls = "running", MOVES, SECOND_CALLS

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        kept = self.mean.copy(), self.var.copy()
        found = super().training_second_order(x, dy, v)
        self.mean[:], self.var[:] = kept
        return found


class TangentMovesTwice(FullLayer):
    """Moves the running statistics for y and for its derivative."""

    family, killed_by, calls = "running", MOVES, TANGENT_CALLS

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        found = super().training_tangent(x, v)
        if x.size and not self.constant:
            self.update(self.values(x))
        return found


class TangentOfInferenceMoves(FullLayer):
    """Moves the running statistics where a derivative along a direction is taken in inference."""

    family, killed_by, calls = "inference", ("inference.keeps_state",), TANGENT_CALLS

    def inference_tangent(self, x: Array, v: Array) -> Tangent:
        found = super().inference_tangent(x, v)
        if x.size:
            self.update(self.values(x))
        return found


class InferenceGradientsAloneOfTheBatch(FullLayer):
    """Takes the batch's statistics for dx alone in inference."""

    family, killed_by, calls, path = "gradient", ALONE, SOME_CALLS, "inference"

    def inference_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        found = super().inference_some_gradients(x, dy, wanted)
        if found.dx is None or not x.size:
            return found
        inv_std = self.inv_std(self.moments(self.values(x))[1])
        return found._replace(dx=(self.gamma() * inv_std * self.cotangent(dy)).astype(x.dtype))


class LateGradientsByMovedStatistics(FullLayer):
    """Reads the running statistics when the backward pass runs, and not when y was made."""

    family, killed_by, path = "gradient", OWN, "inference, a step before the backward pass"
    calls = (INFERENCE_LATE_GRADIENTS,)

    def inference_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        y = self.inference(x)
        self.training(other)
        return self.inference_gradients(x, dy)._replace(y=y)


class LateGradientsByTheLastBatch(FullLayer):
    """Keeps the batch statistics in the layer, where the next training step overwrites them before the backward pass."""

    family, killed_by, path = "gradient", OWN, "training, a step before the backward pass"
    calls = (TRAINING_LATE_GRADIENTS,)
    last: Any = None

    def training_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        y = self.training(x)
        self.training(other)
        self.last = self.values(other)
        found = self.backward(self.values(x), self.cotangent(dy))
        self.last = None
        return self.gradients(x, y, *found)

    def backward_statistics(self, x: Array) -> Any:
        return super().backward_statistics(x if self.last is None else self.last)


class GradientThroughTheRunningMean(FullLayer):
    """Differentiates the new running mean where the loss reads it."""

    family, killed_by, calls = "gradient", UPDATE, (TRAINING_STATE_GRADIENTS,)

    def training_state_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().training_state_gradients(x, dy)
        share = (1.0 - self.config.decay) / max(self.count(x), 1)
        return found._replace(dx=(found.dx.astype("float64") + share).astype(x.dtype))


class GradientThroughTheRunningVariance(FullLayer):
    """Differentiates the new running variance where the loss reads it."""

    family, killed_by, calls = "gradient", UPDATE, (TRAINING_STATE_GRADIENTS,)

    def training_state_gradients(self, x: Array, dy: Array) -> Gradients:
        found, wide = super().training_state_gradients(x, dy), self.values(x)
        share = 2.0 * (1.0 - self.config.decay) / max(self.count(x), 1)
        through = share * (wide - self.average(wide)).astype("float64")
        return found._replace(dx=(found.dx.astype("float64") + through).astype(x.dtype))


class SavedStatisticsConstantInThirdOrder(FullLayer):
    """Differentiates the second derivative with inv_std as a constant, as a saved value is."""

    family, killed_by, calls = "second_order", THIRD, (TRAINING_THIRD_ORDER,)

    def moving_root(self, dy: Array, w: Array, zhat: Array, s: Array) -> Any:
        return np.zeros_like(zhat), s * s * w / dy.dtype.type(self.count(dy)), np.zeros_like(zhat)


class ThirdOrderWithoutTheSquare(FullLayer):
    """Leaves out that the variance has a second derivative of its own."""

    family, killed_by, calls = "second_order", THIRD, (TRAINING_THIRD_ORDER,)

    def invariants(self, dy: Array, w: Array, zhat: Array, s: Array) -> Any:
        a, b, p, r = super().invariants(dy, w, zhat, s)
        return a, b, p, np.zeros_like(r)


class ThirdOrderMovesTwice(FullLayer):
    """Moves the running statistics once more where third derivatives are taken."""

    family, killed_by, calls = "running", MOVES, (TRAINING_THIRD_ORDER,)

    def training_third_order(self, x: Array, dy: Array, v: Array) -> Array:
        found = super().training_third_order(x, dy, v)
        if x.size and not self.constant:
            self.update(self.values(x))
        return found


class SavedStatisticsConstantInTheTangent(FullLayer):
    """Differentiates the tangent with the mean and inv_std that were saved for it as constants."""

    family, killed_by, calls = "second_order", TANGENT, (TRAINING_TANGENT_GRADIENT,)

    def training_tangent_gradient(self, x: Array, dy: Array, v: Array) -> Array:
        found = super().training_tangent_gradient(x, dy, v)
        if self.constant or not x.size:
            return found
        wide, dy, v = self.values(x), self.cotangent(dy), self.values(v)
        mean, var = self.backward_statistics(wide)
        s = self.backward_inv_std(var)
        zhat = (wide - mean) * s
        constant = -self.gamma() * s**2 * (dy * self.average(v * zhat) + v * self.average(dy * zhat))
        return constant.astype(x.dtype)


class TangentGradientLosesItsScale(FullLayer):
    """Leaves gamma out of the gradient of the tangent."""

    family, killed_by, calls = "second_order", TANGENT, (TRAINING_TANGENT_GRADIENT,)

    def training_tangent_gradient(self, x: Array, dy: Array, v: Array) -> Array:
        found = super().training_tangent_gradient(x, dy, v)
        return (found / self.gamma()).astype(x.dtype)


class TangentGradientMovesTwice(FullLayer):
    """Moves the running statistics once more where the gradient of a tangent is taken."""

    family, killed_by, calls = "running", MOVES, (TRAINING_TANGENT_GRADIENT,)

    def training_tangent_gradient(self, x: Array, dy: Array, v: Array) -> Array:
        found = super().training_tangent_gradient(x, dy, v)
        if x.size and not self.constant:
            self.update(self.values(x))
        return found


class TangentOfDoublesInSingle(FullLayer):
    """Computes the tangent of float64 in float32."""

    family, killed_by, path = "gradient", ("gradient.forward_mode",), "float64"
    calls = (TRAINING_TANGENT,)

    def tangent(self, v: Array, centred: Array, inv_std: Array) -> Array:
        found = super().tangent(v, centred, inv_std)
        return found.astype(np.float32).astype(found.dtype)


class ThirdOrderHalvedWithoutAffine(FullLayer):
    """Halves the third derivative of a layer without gamma."""

    family, killed_by, path = "second_order", ("second_order.third_derivative",), "no gamma and beta"
    calls = (TRAINING_THIRD_ORDER,)

    def third(self, dy: Array, w: Array, zhat: Array, s: Array) -> Array:
        return super().third(dy, w, zhat, s) / (1 if self.config.affine else 2)


class SecondOrderOfOneArray(FullLayer):
    """Has no derivative by x where the direction is the cotangent's own memory."""

    family, killed_by, calls, path = "second_order", TRAINING, (TRAINING_SECOND_ORDER,), "v is dy"

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        found = super().training_second_order(x, dy, v)
        return found._replace(by_x=found.by_x * 0) if np.shares_memory(dy, v) else found
