"""Mutants of the network around a layer: wrong training steps."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.network import FullNetwork
from bnspec.model.call import LEARN

Array = Any

TRAJECTORY, BIAS = ("placement.trajectory",), ("placement.bias_has_no_gradient",)


class _Running(FullNetwork):
    """Normalises by the running statistics while it trains."""

    def normalised(self, h: Array) -> Array:
        self.layer.training(h)
        return self.layer.inference(h)


class NetworkTrainsInInference(FullLayer):
    """Normalises by the running statistics while the network trains, and moves them."""

    family, killed_by, calls, network = "placement", TRAJECTORY, (LEARN,), _Running


class _BiasLearns(FullNetwork):
    """Gives the bias the gradient it has where statistics are constants."""

    def bias_gradient(self, dh: Array, dy: Array) -> Array:
        mean_removed: Array = dy.sum(axis=0)
        return mean_removed


class NetworkTrainsTheBias(FullLayer):
    """Moves the bias before the layer by the sum of dy."""

    family, killed_by, calls, network = "placement", BIAS, (LEARN,), _BiasLearns


class _BiasDecays(FullNetwork):
    """Weight decay on the bias."""

    def bias_gradient(self, dh: Array, dy: Array) -> Array:
        return super().bias_gradient(dh, dy) + np.float32(2.0**-5) * self.value["b1"]


class NetworkDecaysTheBias(FullLayer):
    """Adds a weight decay to the gradient of the bias before the layer."""

    family, killed_by, calls, network = "placement", BIAS, (LEARN,), _BiasDecays


class _Still(FullNetwork):
    """Computes correctly, but keeps the statistics."""

    def normalised(self, h: Array) -> Array:
        kept = self.layer.mean.copy(), self.layer.var.copy()
        y = self.layer.training(h)
        self.layer.mean[:], self.layer.var[:] = kept
        return y


class NetworkKeepsTheStatistics(FullLayer):
    """Moves no running statistics in the network, though the layer alone does."""

    family, killed_by, calls, network = "placement", TRAJECTORY, (LEARN,), _Still


class _Twice(FullNetwork):
    """Calls the layer twice in each step."""

    def backward(self, h: Array, dy: Array) -> Tuple[Array, Array, Array]:
        self.layer.training(h)
        return super().backward(h, dy)


class NetworkMovesTheStatisticsTwice(FullLayer):
    """Moves the running statistics again in the backward pass: as networks that recompute activations may do."""

    family, killed_by, calls, network = "placement", TRAJECTORY, (LEARN,), _Twice


class _Constants(FullNetwork):
    """Stops gradients at the statistics."""

    def backward(self, h: Array, dy: Array) -> Tuple[Array, Array, Array]:
        mean, var = self.layer.moments(h)
        inv_std = self.layer.inv_std(var)
        zhat = (h - mean) * inv_std
        dgamma, dbeta = self.layer.parameter_gradients(dy, zhat, inv_std)
        return self.layer.inference_dx(dy, zhat, inv_std), dgamma, dbeta


class NetworkStopsAtTheStatistics(FullLayer):
    """Takes the batch statistics as constants in the network's backward pass."""

    family, killed_by, calls, network = "placement", (*TRAJECTORY, *BIAS), (LEARN,), _Constants


class _Patches(FullNetwork):
    """Corrects by the number of samples."""

    def normalised(self, h: Array) -> Array:
        old = self.layer.var.copy()
        y = self.layer.training(h)
        if self.convolutional:
            positions, n = 36, len(h)
            _, var = self.layer.moments(h)
            samples = n // positions
            moved = self.layer.averaged(old, var.reshape(-1) * np.float32(samples / (samples - 1)))
            self.layer.var[:] = moved
        return y


class NetworkCorrectsBySamples(FullLayer):
    """Corrects the running variance after a convolution by the number of images, and not of positions."""

    family, killed_by, calls, network, path = "placement", TRAJECTORY, (LEARN,), _Patches, "convolutional"


class _LeakyBackward(FullNetwork):
    """Passes a share of the gradient where ReLU is 0."""

    def active(self, y: Array) -> Array:
        return np.where(y > 0, np.float32(1), np.float32(2.0**-6))


class NetworkReluLeaksBackwards(FullLayer):
    """Passes a sixty-fourth of the gradient where ReLU is 0."""

    family, killed_by, calls, network = "placement", TRAJECTORY, (LEARN,), _LeakyBackward


class _Summed(FullNetwork):
    """Forgets the mean over positions in the backward pass."""

    def spread(self, da: Array, positions: int) -> Array:
        return np.repeat(da, positions, axis=0)


class NetworkPoolsWithoutAShare(FullLayer):
    """Gives every position the whole gradient of their mean."""

    family, killed_by, calls, network, path = "placement", TRAJECTORY, (LEARN,), _Summed, "convolutional"


class _ScaleStays(FullNetwork):
    """Learns no gamma."""

    def descend(self, gradients: Dict[str, Array]) -> None:
        super().descend({n: g for n, g in gradients.items() if n != "gamma"})


class NetworkLearnsNoScale(FullLayer):
    """Leaves gamma out of the values that are learnt."""

    family, killed_by, calls, network = "placement", TRAJECTORY, (LEARN,), _ScaleStays


class _Early(FullNetwork):
    """Updates beta before the backward pass has read it."""

    def backward(self, h: Array, dy: Array) -> Tuple[Array, Array, Array]:
        dh, dgamma, dbeta = super().backward(h, dy)
        self.value["gamma"] -= self.rate * dgamma
        dh = super().backward(h, dy)[0]
        return dh, np.zeros_like(dgamma), dbeta


class NetworkMovesTheScaleTooEarly(FullLayer):
    """Moves gamma before dh is computed with it."""

    family, killed_by, calls, network = "placement", TRAJECTORY, (LEARN,), _Early


class _LossOfTheFirst(FullNetwork):
    """Reports the loss of one sample."""

    def loss(self, z: Array, labels: Array) -> Tuple[Array, Array]:
        _, dz = super().loss(z, labels)
        return super().loss(z[:1], labels[:1])[0], dz


class NetworkReportsOneLoss(FullLayer):
    """Reports the loss of the first sample."""

    family, killed_by, calls, network = "placement", TRAJECTORY, (LEARN,), _LossOfTheFirst


class _Tenth(FullNetwork):
    """Counts its steps."""

    taken = 0

    def descend(self, gradients: Dict[str, Array]) -> None:
        self.taken += 1
        super().descend(gradients if self.taken % 10 else {n: g for n, g in gradients.items() if n != "w1"})


class NetworkSkipsTheTenthUpdate(FullLayer):
    """Leaves the first weights as they are in every tenth step."""

    family, killed_by, calls, network, path = "placement", TRAJECTORY, (LEARN,), _Tenth, "tenth step"
