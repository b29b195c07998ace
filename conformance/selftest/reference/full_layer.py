"""The full reference layer: the plain layer plus all optional calls of the contract, in small methods that mutants override.

Written independently of ``bnspec.equations.second_order`` and ``bnspec.equations.masked``: the suite must not test code against
itself.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Dict, Mapping, Tuple, Type

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.network import FullNetwork
from bnspec.conformance.selftest.reference.scaler import PlainAdapter
from bnspec.contract import Gradients, Layer, LayerConfig, Network, SecondOrder, Tangent
from bnspec.model.buffers import dtype_of
from bnspec.model.vocabulary import NetworkKind

Array = Any


class FullLayer(PlainLayer):
    """Batch normalization with second derivatives, forward mode, masks, operations between calls, and a network around it."""

    declares: Dict[str, Any] = {"frozen_gradients": "constants"}
    #: The network class built around the layer.
    network: Type[FullNetwork] = FullNetwork

    def __init__(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> None:
        super().__init__(config, gamma, beta, running_mean, running_var)
        self.frozen = False
        #: the number of partial sums, set by the adapter
        self.threads = 1
        self.check_parameters()

    # --- argument checks --------------------------------------------------------------------------------------------

    def check_parameters(self) -> None:
        """Raise unless there is one value per channel."""
        for array in (self.raw_gamma, self.raw_beta, self.mean, self.var):
            if array is not None and array.shape != (self.config.channels,):
                raise ValueError("a parameter has shape %s" % (array.shape,))

    def check(self, x: Array, *alike: Array) -> None:
        """Raise unless x has the layer's channels and the other arrays have x's shape."""
        if x.ndim != self.config.rank or x.shape[self.config.channel_axis] != self.config.channels:
            raise ValueError("x has shape %s" % (x.shape,))
        if any(a.shape != x.shape for a in alike):
            raise ValueError("a cotangent or direction has another shape than x")

    # --- sums -------------------------------------------------------------------------------------------------------

    def average(self, x: Array) -> Array:
        """The mean over all axes but the channel axis, from the threads' partial sums."""
        if self.threads == 1 or not x.size:
            return super().average(x)
        parts = [p.sum(axis=1) for p in np.array_split(self.lanes(x), self.threads, axis=1)]
        return self.broad(self.joined(parts)) / x.dtype.type(x.size // self.config.channels)

    def joined(self, parts: Any) -> Array:
        """The sum of the threads' partial sums, each of shape (C,)."""
        return sum(parts[1:], parts[0])

    # --- calls of the plain layer, which may be frozen ----------------------------------------------------------------

    @property
    def constant(self) -> bool:
        """Whether training treats the running statistics as constants."""
        return self.frozen and self.declares.get("frozen_gradients") == "constants"

    def training(self, x: Array) -> Array:
        """Training; inference while frozen."""
        self.check(x)
        return self.frozen_training(x) if self.constant else super().training(x)

    def inference(self, x: Array) -> Array:
        """Inference, after checking the arguments."""
        self.check(x)
        return super().inference(x)

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        """Training; inference while frozen."""
        self.check(x, dy)
        return self.frozen_gradients(x, dy) if self.constant else super().training_gradients(x, dy)

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        """Inference, after checking the arguments."""
        self.check(x, dy)
        return super().inference_gradients(x, dy)

    def frozen_training(self, x: Array) -> Array:
        """Training of a frozen layer."""
        return self.infer(x)

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        """The same, with gradients."""
        return super().inference_gradients(x, dy)

    # --- some gradients -----------------------------------------------------------------------------------------------

    def training_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        """The wanted gradients."""
        return self.some(self.training_gradients(x, dy), wanted)

    def inference_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        """The wanted gradients."""
        return self.some(self.inference_gradients(x, dy), wanted)

    def some(self, found: Gradients, wanted: Tuple[str, ...]) -> Gradients:
        """y and the wanted gradients."""
        return Gradients(found.y, *(getattr(found, n) if n in wanted else None for n in ("dx", "dgamma", "dbeta")))

    # --- a backward pass after another step ---------------------------------------------------------------------------

    def training_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        """The gradients are those of the first pass."""
        found = self.training_gradients(x, dy)
        self.training(other)
        return found

    def inference_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        """The gradients are those of the statistics before the step."""
        found = self.inference_gradients(x, dy)
        self.training(other)
        return found

    # --- gradients of a loss that reads the statistics ----------------------------------------------------------------

    def training_state_gradients(self, x: Array, dy: Array) -> Gradients:
        """The gradients are those of y alone: the update has none."""
        return self.training_gradients(x, dy)

    # --- second derivatives -------------------------------------------------------------------------------------------

    def project(self, v: Array, zhat: Array) -> Array:
        """A direction after removing its mean and its component along zhat: dx without gamma and inv_std."""
        return v - self.average(v) - zhat * self.average(v * zhat)

    def through_root(self, dy: Array, v: Array, zhat: Array) -> Array:
        """The derivative of <v, P dy> through inv_std, with respect to each element."""
        return zhat * self.average(v * self.project(dy, zhat))

    def through_values(self, dy: Array, v: Array, zhat: Array) -> Array:
        """The derivative of <v, P dy> through the normalised values, in both of their occurrences."""
        return self.average(dy * zhat) * self.project(v, zhat) + self.average(v * zhat) * self.project(dy, zhat)

    def second_by_x(self, dy: Array, v: Array, zhat: Array, inv_std: Array) -> Array:
        """The derivative of <v, dx> by x in training."""
        through = self.through_root(dy, v, zhat) + self.through_values(dy, v, zhat)
        return -self.gamma() * np.square(inv_std) * through

    def second_by_dy(self, v: Array, zhat: Array, inv_std: Array) -> Array:
        """The derivative of <v, dx> by dy in training."""
        return self.gamma() * inv_std * self.project(v, zhat)

    def second_by_gamma(self, dy: Array, v: Array, zhat: Array, inv_std: Array) -> Array:
        """The derivative of <v, dx> by gamma in training, shape (C,)."""
        return (inv_std * v * self.project(dy, zhat)).sum(axis=self.axes)

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        """The derivatives of <v, dx> in training; moves the running statistics once."""
        self.check(x, dy, v)
        if self.constant or not x.size:
            return self.inference_second_order(x, dy, v)
        self.forward(x)
        wide, dy, v = self.values(x), self.cotangent(dy), self.values(v)
        mean, var = self.backward_statistics(wide)
        inv_std = self.backward_inv_std(var)
        zhat = (wide - mean) * inv_std
        by_x, by_dy = self.second_by_x(dy, v, zhat, inv_std), self.second_by_dy(v, zhat, inv_std)
        return self.second_order(x, by_x, by_dy, self.second_by_gamma(dy, v, zhat, inv_std))

    def inference_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        """The derivatives of <v, gamma inv_std dy>."""
        self.check(x, dy, v)
        inv_std, dy, v = self.inference_inv_std(self.wide(self.var)), self.cotangent(dy), self.values(v)
        by_gamma = (inv_std * v * dy).sum(axis=self.axes)
        return self.second_order(x, np.zeros_like(dy), self.gamma() * inv_std * v, by_gamma)

    def second_order(self, x: Array, by_x: Array, by_dy: Array, by_gamma: Array) -> SecondOrder:
        """The results, in the dtypes of their arguments."""
        parameter = by_gamma.astype(self.mean.dtype) if self.config.affine else None
        return SecondOrder(by_x.astype(x.dtype), by_dy.astype(x.dtype), parameter)

    def training_tangent_gradient(self, x: Array, dy: Array, v: Array) -> Array:
        """The gradient by x of <dy, the tangent along v>: the second derivative."""
        return self.training_second_order(x, dy, v).by_x

    # --- third derivatives --------------------------------------------------------------------------------------------

    def training_third_order(self, x: Array, dy: Array, v: Array) -> Array:
        """The gradient by x of the second derivative along v of <dy, y>; moves the running statistics once."""
        self.check(x, dy, v)
        if self.constant or not x.size:
            return np.zeros_like(x)
        self.forward(x)
        wide, dy, v = self.values(x), self.cotangent(dy), self.values(v)
        mean, var = self.backward_statistics(wide)
        s = self.backward_inv_std(var)
        return (self.gamma() * self.third(dy, v - self.average(v), (wide - mean) * s, s)).astype(x.dtype)

    def third(self, dy: Array, w: Array, zhat: Array, s: Array) -> Array:
        """The same without gamma; w is v without its mean."""
        m = dy.dtype.type(self.count(dy))
        a, b, p, r = self.invariants(dy, w, zhat, s)
        by_a = s * self.project(dy, zhat)
        by_b, by_p, by_r = self.moving_root(dy, w, zhat, s)
        return by_a * (3 * p * p - r) + (m * a * (6 * p * by_p - by_r) - 2 * m * (p * by_b + b * by_p))

    def invariants(self, dy: Array, w: Array, zhat: Array, s: Array) -> Any:
        """The means of dy zhat and of s dy w, and s mean(w zhat) and s^2 mean(w^2)."""
        return (
            self.average(dy * zhat),
            s * self.average(dy * w),
            s * self.average(w * zhat),
            s * s * self.average(w * w),
        )

    def moving_root(self, dy: Array, w: Array, zhat: Array, s: Array) -> Any:
        """The gradients of the last three of them."""
        m = dy.dtype.type(self.count(dy))
        _, b, p, r = self.invariants(dy, w, zhat, s)
        return -s * zhat * b / m, s * (s * w - 2 * zhat * p) / m, -2 * s * zhat * r / m

    # --- forward mode -------------------------------------------------------------------------------------------------

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        """y and its derivative along v in training; moves the running statistics once."""
        self.check(x, v)
        if self.constant or not x.size:
            return self.inference_tangent(x, v)
        wide, direction = self.values(x), self.values(v)
        mean, var = self.training_statistics(wide)
        along = self.tangent(direction, wide - mean, self.inv_std(var))
        return Tangent(self.forward(x), along.astype(x.dtype))

    def tangent(self, v: Array, centred: Array, inv_std: Array) -> Array:
        """The derivative along v, through the mean and through the variance."""
        moved = v - self.average(v)
        return self.gamma() * (moved * inv_std + centred * self.root_along(moved, centred, inv_std))

    def root_along(self, moved: Array, centred: Array, inv_std: Array) -> Array:
        """The derivative of inv_std along v: -inv_std^3 / 2 times that of the variance."""
        return -(inv_std**3) * self.average(moved * centred)

    def inference_tangent(self, x: Array, v: Array) -> Tangent:
        """y and its derivative along v in inference."""
        self.check(x, v)
        along = self.gamma() * self.inference_inv_std(self.wide(self.var)) * self.values(v)
        return Tangent(self.infer(x), along.astype(x.dtype))

    # --- masks --------------------------------------------------------------------------------------------------------

    def cleaned(self, x: Array, mask: Array) -> Array:
        """x with all padding set to 0."""
        return np.where(mask, x, x.dtype.type(0))

    def kept(self, x: Array, mask: Array) -> int:
        """The number of kept elements per channel."""
        return int(mask.sum())

    def has_moments(self, mask: Array) -> bool:
        """Whether there is anything to average."""
        return bool(mask.any())

    def kept_average(self, x: Array, mask: Array) -> Array:
        """The mean of the kept elements."""
        return self.cleaned(x, mask).sum(axis=self.axes, keepdims=True) / self.work.type(self.kept(x, mask))

    def kept_moments(self, x: Array, mask: Array) -> Tuple[Array, Array]:
        """Mean and population variance of the kept elements."""
        mean = self.kept_average(x, mask)
        return mean, self.kept_average(np.square(x - mean), mask)

    def normalising(self, mean: Array, count: int) -> Array:
        """A mean of squares or products of deviations of count elements, as the normalisation takes it."""
        return mean

    def correction_count(self, x: Array, mask: Array) -> int:
        """The count in the correction of the running variance."""
        return self.kept(x, mask)

    def training_masked(self, x: Array, mask: Array) -> Array:
        """Training on the kept elements, inference while frozen; y is 0 on padding."""
        if self.constant:
            return self.cleaned(self.infer(self.cleaned(x, mask)), mask)
        if not self.has_moments(mask):
            return np.zeros(x.shape, self.result_dtype(x))
        wide = self.values(x)
        mean, var = self.kept_moments(wide, mask)
        y = self.cleaned(self.output(wide, mean, self.inv_std(self.normalising(var, self.kept(wide, mask)))), mask)
        count = self.correction_count(wide, mask)
        self.store(self.new_mean(self.wide(self.mean), mean, count), self.new_var(self.wide(self.var), var, count))
        return y.astype(self.result_dtype(x))

    def training_masked_gradients(self, x: Array, dy: Array, mask: Array) -> Gradients:
        """The same, with gradients; dx is 0 on padding."""
        if self.constant:
            found = super().inference_gradients(self.cleaned(x, mask), self.cleaned(dy, mask))
            return found._replace(y=self.cleaned(found.y, mask))
        y, wide = self.training_masked(x, mask), self.values(x)
        if not self.has_moments(mask):
            return self.gradients(x, y, np.zeros_like(x), *np.zeros((2, self.config.channels), self.mean.dtype))
        mean, var = self.kept_moments(wide, mask)
        inv_std = self.inv_std(self.normalising(var, self.kept(wide, mask)))
        dy = self.cleaned(self.cotangent(dy), mask)
        zhat = self.cleaned((wide - mean) * inv_std, mask)
        dx = self.masked_dx(dy, zhat, inv_std, mask)
        return self.gradients(x, y, dx, *self.parameter_gradients(dy, zhat, inv_std))

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        """dx through the statistics of the kept elements."""
        left = dy - self.kept_average(dy, mask) - zhat * self.kept_average(dy * zhat, mask)
        return self.cleaned(self.gamma() * inv_std * left, mask)

    # --- operations between calls ------------------------------------------------------------------------------------------

    def snapshot(self) -> Dict[str, Any]:
        """The saved arrays, by name."""
        arrays = {"gamma": self.raw_gamma, "beta": self.raw_beta, "running_mean": self.mean, "running_var": self.var}
        return {n: None if a is None else a.copy() for n, a in arrays.items()}

    def restored(self) -> Any:
        """A new layer over the arrays of a snapshot."""
        saved = self.snapshot()
        running = saved["running_mean"], saved["running_var"]
        new = type(self)(self.config, saved["gamma"], saved["beta"], *running)
        new.threads = self.threads
        return new

    def copied(self) -> Any:
        """A deep copy."""
        return copy.deepcopy(self)

    def reset(self) -> None:
        """Reset the running statistics to 0 and 1."""
        self.mean[:], self.var[:] = 0, 1

    def freeze(self, frozen: bool) -> None:
        """Freeze or unfreeze the layer."""
        self.frozen = frozen

    def set_decay(self, decay: float) -> None:
        """Another decay from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        """A layer with parameters of its own: gamma 1, beta 0, running mean 0, running variance 1."""
        one, zero = (np.full(config.channels, v, dtype_of(config.parameter_dtype)) for v in (1, 0))
        gamma, beta = (one.copy(), zero.copy()) if config.affine else (None, None)
        return cls(config, gamma, beta, zero, one)


class FullAdapter(PlainAdapter):
    """The full layer as a backend; mutants and variants substitute their own class."""

    conventions = dataclasses.replace(PlainAdapter.conventions, checks_arguments=True)
    layer_class: Type[FullLayer] = FullLayer
    threads = 1

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Layer:
        """A layer of the class under test, with the number of threads set."""
        layer = self.layer_class(config, gamma, beta, running_mean, running_var)
        layer.threads = self.threads
        return layer

    def new_layer(self, config: LayerConfig) -> Layer:
        """A layer of the class under test with its own initial values."""
        return self.layer_class.begun(config)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> Network:
        """The class's network around its layer."""
        return self.layer_class.network(self.layer_class, kind, config, learning_rate, values)

    def use_threads(self, count: int) -> None:
        """Set the number of partial sums; 0 stands for 1."""
        self.threads = count or 1
