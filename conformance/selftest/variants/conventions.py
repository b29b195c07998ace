"""Variants that use the choices allowed by the conventions."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.errors import Declined
from bnspec.model.buffers import dtype_of

Array = Any
Pair = Tuple[Array, Array]


class BiasedRunningVarianceDeclared(PlainLayer):
    """Stores the population variance, and declares it."""

    declares = {"running_correction": 0}

    def corrected(self, var: Array, count: int) -> Array:
        return var


class CountOneRaises(PlainLayer):
    """Raises for training on one value per channel, and declares it."""

    declares = {"count_one": "raises"}

    def forward(self, x: Array) -> Array:
        if self.count(x) == 1:
            raise ValueError("more than one value per channel is needed")
        return super().forward(x)


class CountOneUnspecified(PlainLayer):
    """Leaves one value per channel unspecified, and keeps the running variance there."""

    declares = {"count_one": "unspecified"}

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return old if count == 1 else super().new_var(old, var, count)


class EmptyBatchRaises(PlainLayer):
    """Raises for training on an empty batch, and declares it."""

    declares = {"empty_batch": "raises"}

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            raise ValueError("x is empty")
        return super().forward(x)


class EmptyBatchRaisesAndMasksKeepNothing(FullLayer):
    """Raises for an empty batch, and says so; where a mask keeps nothing, it computes nothing and keeps the statistics."""

    declares = {**FullLayer.declares, "empty_batch": "raises"}

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            raise ValueError("x is empty")
        return super().forward(x)


class DecayStoredInFloat(PlainLayer):
    """Stores the decay in float32, and declares it; does not support float64."""

    declares = {"decay_dtype": "float32", "momentum_weighs": "old", "dtypes": ("float32", "bfloat16", "float16")}

    def decay(self) -> Array:
        return self.work.type(np.float32(self.config.decay))


class MomentumStoredInFloat(PlainLayer):
    """Stores the new value's weight in float32, and declares it; does not support float64."""

    declares = {"decay_dtype": "float32", "momentum_weighs": "new", "dtypes": ("float32", "bfloat16", "float16")}

    def averaged(self, old: Array, new: Array) -> Array:
        momentum = self.work.type(np.float32(1 - self.config.decay))
        return old * (1 - momentum) + new * momentum


class EpsilonStoredInFloat(PlainLayer):
    """Stores epsilon in float32, and declares it."""

    declares = {"epsilon_dtype": "float32"}

    def epsilon(self) -> Array:
        return self.work.type(np.float32(self.config.epsilon))


class EpsilonMinimumDeclared(PlainLayer):
    """Raises epsilon to 1.001e-5, and declares it."""

    declares = {"epsilon_minimum": 1.001e-5}

    def epsilon(self) -> Array:
        return self.work.type(max(self.config.epsilon, 1.001e-5))


class FewForms(PlainLayer):
    """Supports only images with the channels first or last, in float32, with gamma and beta."""

    declares = {
        "ranks": (4,),
        "channel_axes": "first_and_last",
        "dtypes": ("float32",),
        "affine_optional": False,
        "input_normalization": False,
    }


class DeclinesAsItGoes(PlainLayer):
    """Declines volumes and float16 at run time."""

    def values(self, array: Array) -> Array:
        if array.ndim == 5 or self.config.dtype == "float16":
            raise Declined("neither rank 5 nor float16 is offered")
        return super().values(array)

    def forward(self, x: Array) -> Array:
        self.values(x)
        return super().forward(x)


class HalfStatistics(PlainLayer):
    """Reduces half-precision values in the dtype of x, and declares it."""

    declares = {"half_statistics": "input"}

    def moments(self, x: Array) -> Pair:
        narrow = x.astype(dtype_of(self.config.dtype))
        mean = self.average(narrow).astype(narrow.dtype)
        var = self.average(np.square(narrow - mean)).astype(narrow.dtype)
        return mean.astype(self.work), var.astype(self.work)


class HalfArithmetic(PlainLayer):
    """Normalises half-precision values in the dtype of x by statistics from float32, and declares it."""

    declares = {"half_arithmetic": "input"}

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        dtype = dtype_of(self.config.dtype)
        x, mean, inv_std, gamma, beta = (v.astype(dtype) for v in (x, mean, inv_std, self.gamma(), self.beta()))
        return ((x - mean) * inv_std * gamma + beta).astype(self.work)


class HalfArithmeticOfParameters(PlainLayer):
    """Normalises in the dtype of the parameters, and declares it."""

    declares = {"half_arithmetic": "parameters", "half_statistics": "parameters"}

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        dtype = dtype_of(self.config.parameter_dtype)
        x, mean, inv_std, gamma, beta = (v.astype(dtype) for v in (x, mean, inv_std, self.gamma(), self.beta()))
        return ((x - mean) * inv_std * gamma + beta).astype(self.work)


class HalfComputedInDouble(PlainLayer):
    """Computes everything in float64, whatever the dtype of x, and rounds once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.work = np.dtype("float64")


class PromotedOutput(PlainLayer):
    """Returns y in the promotion of x's and the parameters' dtypes, and declares it."""

    declares = {"output_dtype": "promoted"}

    def result_dtype(self, x: Array) -> Any:
        half = self.config.dtype.endswith("16")
        return dtype_of(self.config.parameter_dtype) if half else super().result_dtype(x)
