"""Variants of second derivatives, forward mode, single gradients, masks and networks."""

from __future__ import annotations

import dataclasses
from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.network import FullNetwork
from bnspec.contract import Gradients, SecondOrder, Tangent
from bnspec.errors import Declined
from bnspec.model.buffers import dtype_of
from bnspec.model.call import (
    INFERENCE_SECOND_ORDER,
    INFERENCE_SOME_GRADIENTS,
    INFERENCE_TANGENT,
    LEARN,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_SECOND_ORDER,
    TRAINING_SOME_GRADIENTS,
    TRAINING_TANGENT,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
)
from bnspec.model.conventions import HALVES

Array = Any

SECOND_CALLS = (TRAINING_SECOND_ORDER, INFERENCE_SECOND_ORDER)
TANGENT_CALLS = (TRAINING_TANGENT, INFERENCE_TANGENT)
SOME_CALLS = (TRAINING_SOME_GRADIENTS, INFERENCE_SOME_GRADIENTS)
MASKED = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)


class WholeUnchanged(FullLayer):
    """The full layer, unchanged: the null test."""


class SecondOrderFolded(FullLayer):
    """Differentiates dx = a dy - a mean(dy) - x' a inv_std^2 mean(dy x'), where x' is centred and a = gamma inv_std."""

    calls = SECOND_CALLS

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        self.check(x, dy, v)
        if self.constant or not x.size:
            return self.inference_second_order(x, dy, v)
        self.forward(x)
        wide, dy, v = self.values(x), self.cotangent(dy), self.values(v)
        mean, var = self.moments(wide)
        s, z = self.inv_std(var), wide - mean
        a, free_v, free_dy = self.gamma() * s, v - self.average(v), dy - self.average(dy)
        of_v, of_dy = s * self.average(v * z), s * self.average(dy * z)
        straight = self.average(free_v * free_dy)
        by_x = s * a * (s * z * (3 * of_v * of_dy - straight) - free_v * of_dy - free_dy * of_v)
        by_dy = a * free_v - z * a * s * of_v
        by_gamma = self.count(x) * (s * (straight - of_v * of_dy)).reshape(-1)
        return self.second_order(x, by_x, by_dy, by_gamma)


class _Complex(FullLayer):
    """Differentiates by a step in the imaginary direction, which cancels nothing."""

    step = 2.0**-60

    def stepped(self, x: Array, v: Array) -> Tuple[Array, Array]:
        """x + i h v and its inv_std and normalised values, in complex128."""
        z = x.astype(np.complex128) + 1j * self.step * v
        centred = z - z.mean(axis=self.axes, keepdims=True)
        var = (centred * centred).mean(axis=self.axes, keepdims=True)
        inv_std = (var + float(self.epsilon())) ** -0.5
        return inv_std, centred * inv_std


class TangentByComplexStep(_Complex):
    """Takes the derivative along v from the imaginary part of y(x + i h v), in complex128."""

    calls = TANGENT_CALLS

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        self.check(x, v)
        if self.constant or not x.size:
            return self.inference_tangent(x, v)
        _, zhat = self.stepped(self.values(x), self.values(v))
        along = (self.gamma() * zhat).imag / self.step
        return Tangent(self.forward(x), along.astype(x.dtype))


class SecondOrderByComplexStep(_Complex):
    """Takes the derivative by x from the imaginary part of dx(x + i h v): forward over reverse."""

    calls = SECOND_CALLS

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        found = super().training_second_order(x, dy, v)
        if self.constant or not x.size:
            return found
        inv_std, zhat = self.stepped(self.values(x), self.values(v))
        wide = self.cotangent(dy).astype(np.complex128)
        mean, slope = (a.mean(axis=self.axes, keepdims=True) for a in (wide, wide * zhat))
        dx = self.gamma() * inv_std * (wide - mean - zhat * slope)
        return found._replace(by_x=(dx.imag / self.step).astype(x.dtype))


class SecondOrderOfTrainingDeclined(FullLayer):
    """Supports second derivatives in inference only."""

    calls = SECOND_CALLS

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        raise Declined("no second derivatives through the batch statistics")


class TangentsLikeGradients(FullLayer):
    """Takes the derivative along v for dx with v in the place of dy: the Jacobian is symmetric but for gamma."""

    calls = TANGENT_CALLS

    def tangent(self, v: Array, centred: Array, inv_std: Array) -> Array:
        return self.training_dx(v, centred * inv_std, inv_std)


class GradientsAloneFromSums(FullLayer):
    """Computes dgamma alone as inv_std (sum(dy x') - mean(x') sum(dy)), with x' about the first value, in float64."""

    calls = SOME_CALLS

    def training_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        found = super().training_some_gradients(x, dy, wanted)
        if "dx" in wanted or found.dgamma is None or self.constant or not x.size:
            return found
        lanes, cotangent = (self.lanes(self.values(a)).astype(np.float64) for a in (x, dy))
        shifted = lanes - lanes[:, :1]
        inv_std = (shifted.var(axis=1) + float(self.epsilon())) ** -0.5
        dgamma = inv_std * ((cotangent * shifted).sum(axis=1) - shifted.mean(axis=1) * cotangent.sum(axis=1))
        return found._replace(dgamma=dgamma.astype(found.dgamma.dtype))


class MaskByCompaction(FullLayer):
    """Trains on the kept rows, as a batch of their own."""

    calls = MASKED

    def training_masked(self, x: Array, mask: Array) -> Array:
        inner, kept = self.of_rows(), self.rows(mask)[..., 0]
        return self.put_back(inner.training(self.rows(x)[kept]), kept)

    def training_masked_gradients(self, x: Array, dy: Array, mask: Array) -> Gradients:
        inner, kept = self.of_rows(), self.rows(mask)[..., 0]
        y, dx, dgamma, dbeta = inner.training_gradients(self.rows(x)[kept], self.rows(dy)[kept])
        return Gradients(self.put_back(y, kept), self.put_back(dx, kept), dgamma, dbeta)

    def rows(self, x: Array) -> Array:
        """x with the channels last."""
        return np.moveaxis(x, self.config.channel_axis, -1)

    def of_rows(self) -> FullLayer:
        """A layer of rows over the same arrays."""
        config = dataclasses.replace(self.config, rank=2, channel_axis=1)
        inner = FullLayer(config, self.raw_gamma, self.raw_beta, self.mean, self.var)
        inner.freeze(self.frozen)
        return inner

    def put_back(self, rows: Array, kept: Array) -> Array:
        """Rows at their places; 0 on padding."""
        whole = np.zeros((*kept.shape, self.config.channels), rows.dtype)
        whole[kept] = rows
        return np.moveaxis(whole, -1, self.config.channel_axis)


class MaskByWeights(FullLayer):
    """Cleans the padding once, and multiplies by weights of 0 and 1 from there on, in float64."""

    calls = MASKED

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        weight, clean = mask.astype(np.float64), self.cleaned(x, mask)
        total = weight.sum()
        mean = (clean * weight).sum(axis=self.axes, keepdims=True) / total
        var = (np.square(clean - mean) * weight).sum(axis=self.axes, keepdims=True) / total
        return mean.astype(self.work), var.astype(self.work)


class MaskByProductInDx(FullLayer):
    """Multiplies dx by the mask at the end: NaN on the padding of a channel whose cotangent is NaN, else 0."""

    calls = MASKED

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        left = dy - self.kept_average(dy, mask) - zhat * self.kept_average(dy * zhat, mask)
        return self.gamma() * inv_std * left * mask.astype(self.work)


class MaskedOutputOnThePadding(FullLayer):
    """Returns 7 on the padding, where y may be anything."""

    calls = MASKED

    def training_masked(self, x: Array, mask: Array) -> Array:
        y = super().training_masked(x, mask)
        return np.where(mask, y, y.dtype.type(7))


class PaddingNormalisedToo(FullLayer):
    """Normalises the padding, as 0, by the statistics of what is kept: a cotangent there reaches every gradient."""

    calls = MASKED

    def normalised(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        """The normalised values everywhere, and inv_std."""
        clean = self.cleaned(self.values(x), mask)
        mean, var = self.kept_moments(clean, mask)
        inv_std = self.inv_std(var)
        return (clean - mean) * inv_std, inv_std

    def training_masked(self, x: Array, mask: Array) -> Array:
        y = super().training_masked(x, mask)
        if self.constant or not self.has_moments(mask):
            return y
        zhat, _ = self.normalised(x, mask)
        return np.where(mask, y, (zhat * self.gamma() + self.beta()).astype(y.dtype))

    def training_masked_gradients(self, x: Array, dy: Array, mask: Array) -> Gradients:
        if self.constant or not self.has_moments(mask):
            return super().training_masked_gradients(x, dy, mask)
        y, wide = self.training_masked(x, mask), self.cotangent(dy)
        zhat, inv_std = self.normalised(x, mask)
        count = self.work.type(self.kept(x, mask))
        dgamma, dbeta = self.parameter_gradients(wide, zhat, inv_std)
        left = wide - self.broad(dbeta) / count - zhat * (self.broad(dgamma) / count)
        return self.gradients(x, y, self.cleaned(self.gamma() * inv_std * left, mask), dgamma, dbeta)


class ResultsInFortranOrder(FullLayer):
    """Returns y and dx in Fortran's order."""

    def training(self, x: Array) -> Array:
        return np.asfortranarray(super().training(x))

    def inference(self, x: Array) -> Array:
        return np.asfortranarray(super().inference(x))

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        return super().gradients(x, np.asfortranarray(y), np.asfortranarray(dx), dgamma, dbeta)


class ThreadsSplitPairwise(FullLayer):
    """Joins the partial sums of so many threads by halves."""

    def joined(self, parts: Any) -> Array:
        if len(parts) < 3:
            return super().joined(parts)
        half = len(parts) // 2
        return self.joined(parts[half:]) + self.joined(parts[:half])


class ThreadsInterleave(FullLayer):
    """Gives each thread every n-th value."""

    def average(self, x: Array) -> Array:
        if self.threads == 1 or not x.size:
            return super().average(x)
        lanes = self.lanes(x)
        parts = [lanes[:, k :: self.threads].sum(axis=1) for k in range(self.threads)]
        return self.broad(self.joined(parts)) / x.dtype.type(self.count(x))


class _LogSoftmax(FullNetwork):
    """The loss by log-softmax, its gradient by exp of it."""

    def loss(self, z: Array, labels: Array) -> Tuple[Array, Array]:
        shifted = z - z.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        one_hot = np.eye(z.shape[1], dtype=z.dtype)[labels]
        return -(logs * one_hot).sum() / z.dtype.type(len(z)), (np.exp(logs) - one_hot) / z.dtype.type(len(z))


class NetworkByLogSoftmax(FullLayer):
    """Computes the network's loss by log-softmax."""

    calls = (LEARN,)

    network = _LogSoftmax


class _ShiftedProducts(FullNetwork):
    """Patches in another memory order, and no gradient of the bias at all."""

    def rows(self, x: Array) -> Array:
        if not self.convolutional:
            return x
        high, wide = x.shape[1] - 2, x.shape[2] - 2
        parts = [x[:, i : i + high, j : j + wide, 0].reshape(-1) for i in range(3) for j in range(3)]
        return np.array(parts).T

    def bias_gradient(self, dh: Array, dy: Array) -> Array:
        return np.zeros_like(dh[0])


class NetworkWithoutBiasGradient(FullLayer):
    """Leaves the bias before the layer as it is: its gradient is 0."""

    calls = (LEARN,)

    network = _ShiftedProducts


class LateGradientsRefused(FullLayer):
    """Raises when the running statistics have moved between a forward pass and its backward pass."""

    def training_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        self.training(x)
        self.training(other)
        raise RuntimeError("the running statistics have changed since the forward pass")

    def inference_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        self.training(other)
        raise RuntimeError("the running statistics have changed since the forward pass")


class StateGradientsInTwoPasses(FullLayer):
    """Takes the gradients in a pass of their own, on a copy, before the step that moves the statistics."""

    def training_state_gradients(self, x: Array, dy: Array) -> Gradients:
        found = self.copied().training_gradients(x, dy)
        return found._replace(y=self.training(x))


class TangentGradientBySums(FullLayer):
    """Forms the gradient of the tangent from sums of the values themselves, as reverse mode over forward mode does."""

    calls = (TRAINING_TANGENT_GRADIENT,)

    def training_tangent_gradient(self, x: Array, dy: Array, v: Array) -> Array:
        found = super().training_tangent_gradient(x, dy, v)
        if self.constant or not x.size:
            return found
        wide, dy, v = self.values(x), self.cotangent(dy), self.values(v)
        mean, var = self.backward_statistics(wide)
        s = self.backward_inv_std(var)
        a = wide - mean
        w, g = v - self.average(v), dy - self.average(dy)
        aw, ag, wg = self.average(a * w), self.average(a * g), self.average(w * g)
        terms = s**3 * (a * wg + w * ag + g * aw) - 3 * s**5 * a * aw * ag
        return (-self.gamma() * terms).astype(x.dtype)


class ThirdOrderByFolding(FullLayer):
    """Forms the sums of the third derivative of x and of inv_std, as a graph of folded products does."""

    calls = (TRAINING_THIRD_ORDER,)

    def third(self, dy: Array, w: Array, zhat: Array, s: Array) -> Array:
        m, a = dy.dtype.type(self.count(dy)), zhat / s
        sums = self.average(dy * a), self.average(dy * w), self.average(w * a), self.average(w * w)
        first = s**3 * (3 * s**2 * sums[2] ** 2 - sums[3])
        by_a = dy - self.average(dy) - a * s**2 * sums[0]
        by_p = w - 2 * a * s**2 * sums[2]
        through = s**5 * (6 * sums[0] * sums[2] * by_p + 2 * sums[0] * sums[3] * a)
        return by_a * first + through + 2 * s**5 * sums[2] * sums[1] * a - 2 * s**3 * sums[1] * by_p + 0 * m


class TangentByTheProductRule(FullLayer):
    """Differentiates (x - mean) inv_std as a product in inference: 0 times an infinite x is NaN, in good order."""

    calls = (INFERENCE_TANGENT,)

    def inference_tangent(self, x: Array, v: Array) -> Tangent:
        found, (mean, var) = super().inference_tangent(x, v), self.inference_statistics(x)
        still = np.zeros_like(var)
        along = self.values(v) * self.inference_inv_std(var) + (self.values(x) - mean) * still
        return found._replace(along=(self.gamma() * along).astype(x.dtype))


class HalfDerivativesInHalf(FullLayer):
    """In half precision rounds every operation of second derivatives to x's dtype, as where a backward pass is differentiated."""

    calls = (TRAINING_SECOND_ORDER,)

    def rounded(self, array: Array) -> Array:
        """The values in x's half precision, and again in the working precision."""
        narrow = self.config.dtype in HALVES
        return array.astype(dtype_of(self.config.dtype)).astype(self.work) if narrow else array

    def project(self, v: Array, zhat: Array) -> Array:
        half = self.rounded
        along = half(half(zhat) * half(self.average(half(v * half(zhat)))))
        return half(half(v - half(self.average(v))) - along)

    def second_by_x(self, dy: Array, v: Array, zhat: Array, inv_std: Array) -> Array:
        return self.rounded(super().second_by_x(dy, v, self.rounded(zhat), self.rounded(inv_std)))


class KeptSumsOneByOne(FullLayer):
    """Adds what a mask keeps one after the other."""

    calls = MASKED

    def kept_average(self, x: Array, mask: Array) -> Array:
        sums = np.add.accumulate(self.lanes(self.cleaned(x, mask)), axis=1)[:, -1]
        return self.broad(sums) / self.work.type(self.kept(x, mask))
