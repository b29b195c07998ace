"""Conventions in which correct implementations legitimately differ, as data.

A ``Conventions`` record states a backend's choices where the definition leaves one. Conformance is relative to it; behaviour
that no value allows is a deviation. The adapter declares the values; experiments infer them for comparison.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Dict, Literal, Mapping, Tuple, get_args, get_origin, get_type_hints

from bnspec.errors import UsageError
from bnspec.model.call import CALLS, MODES, Mode

Dtype = Literal["float64", "float32", "bfloat16", "float16"]
DTYPES: Tuple[Dtype, ...] = get_args(Dtype)
HALVES: Tuple[Dtype, ...] = ("float16", "bfloat16")
#: The dtypes of parameters with a half-precision x.
HalfParameters = Literal["float32", "input"]
Correction = Literal[0, 1]

#: The allowed words of fields of ``Conventions``, which documents their meaning.
MomentumWeighs = Literal["new", "old", "none"]
NumberDtype = Literal["float64", "float32"]
FirstBatch = Literal["average", "replace", "debiased"]
StateDtype = Literal["parameters", "float32", "input"]
FrozenGradients = Literal["batch", "constants", "unspecified"]
CountOne = Literal["raises", "biased", "unspecified"]
EmptyBatch = Literal["raises", "keeps_state", "unspecified"]
HalfPrecision = Literal["float32", "input", "parameters"]
OutputDtype = Literal["input", "promoted"]
OfferedAxes = Literal["first", "last", "first_and_last", "any"]
Layouts = Literal["strided", "normalised"]

#: Unit roundoffs of 1/sqrt(var + epsilon) beyond the variance's own error: epsilon stored and added (halved by the root: 1), and a
#: root and reciprocal of 2 + 2 half units, or a reciprocal root of 12 bits refined by a Newton step (5).
ROOT_ROUNDINGS = 6.0
#: The corrections a variance's divisor may have.
CORRECTIONS: Tuple[Correction, ...] = get_args(Correction)


@dataclasses.dataclass(frozen=True)
class Conventions:
    """The conventions of one backend.

    Attributes:
        running_correction: the variance that enters the running variance has the divisor ``count - running_correction``.
        normalising_correction: the same for the variance that normalises, and then for its part in dx; the definition has 0.
            With 1 the results of training on one value per channel are 0/0 and are not judged, dbeta and the statistics apart.
        momentum_weighs: whether the framework's momentum weighs the "new" or the "old" value; "none": there is no such
            number, because the caller computes the moving average.
        decay_dtype: the dtype in which that number is stored ("float64" where it stays a Python number).
        default_epsilon, default_decay: the framework's defaults; decay is the weight of the old value.
        epsilon_dtype: the dtype in which the framework stores epsilon ("float64" where it keeps the Python number).
        epsilon_minimum: the framework documents that it replaces smaller epsilons by this value; 0 if it does not.
        initial_mean, initial_var: the running statistics of a new layer.
        state_dtype: the dtype of a new layer's running statistics: that of the "parameters", "float32", or that of the
            "input".
        first_batch: how the first training step of a layer with the framework's own initial values uses these; given statistics
            are averaged. "average": they enter the moving average like any other value; "replace": the batch's statistics
            replace them; "debiased": inference divides by 1 - decay^steps, which removes them (running_mean and running_var
            then mean the quotients).
        frozen_gradients: how a frozen layer computes in training mode. "batch": it still normalises by the batch, and
            gradients flow through the batch statistics; "constants": it treats the running statistics as constants and does
            not update them; "unspecified": the framework cannot freeze a layer.
        count_one: training with one value per channel: "raises", "biased" (the biased variance, 0, is stored), "unspecified".
        empty_batch: training with no value: "raises", "keeps_state", "unspecified".
        half_statistics, half_arithmetic: for float16 or bfloat16 x, the dtype in which mean and variance are reduced, and the
            dtype in which the normalised value is formed (including rounding of means and reciprocal roots on the way):
            "float32", that of the "input", or that of the "parameters".
        output_dtype: y has x's dtype ("input") or the promotion of x's and the parameters' ("promoted").
        dtypes: supported dtypes of x.
        half_parameters: supported dtypes of gamma, beta and the running statistics with a half-precision x:
            a subset of ("float32", "input").
        ranks: supported numbers of axes of x.
        channel_axes: "first" (axis 1), "last", "first_and_last" or "any".
        layouts: "strided" (strides reach the kernel) or "normalised" (the framework packs arrays on entry).
        mutable_tensors: users can write into tensors, so results must not share memory with arguments.
        affine_optional: gamma and beta may be absent.
        gradient_modes: the modes in which the implementation computes gradients; in the other the forward pass is asked instead.
        checks_arguments: the implementation rejects malformed arguments; if not, callers must check them, and the suite makes
            no malformed calls.
        integers: x of an integer dtype may be given; whether it is accepted is the framework's choice.
        input_normalization: the framework has a layer for it.
        input_missing: NaN in a training set counts as a missing value, which is left out of the statistics of its feature.
        input_epsilon: what input normalization adds to the variance inside the root, or 0.
        root_roundings: the error of 1/sqrt(var + epsilon) beyond that of the variance, in unit roundoffs: a property of the
            device's roots and divisions, as its maker states it.
        not_repeatable: the calls whose results are documented to differ in bits from one time to the next, on this device.
        programs_apart: whether each call and each shape is compiled to a program of its own, which is tuned by itself on this
            device: bits are then not compared across calls and shapes.
    """

    running_correction: Correction = 0
    normalising_correction: Correction = 0
    momentum_weighs: MomentumWeighs = "new"
    decay_dtype: NumberDtype = "float64"
    default_epsilon: float = 1e-5
    default_decay: float = 0.9
    epsilon_dtype: NumberDtype = "float64"
    epsilon_minimum: float = 0.0
    initial_mean: float = 0.0
    initial_var: float = 1.0
    state_dtype: StateDtype = "parameters"
    first_batch: FirstBatch = "average"
    frozen_gradients: FrozenGradients = "unspecified"
    count_one: CountOne = "biased"
    empty_batch: EmptyBatch = "unspecified"
    half_statistics: HalfPrecision = "float32"
    half_arithmetic: HalfPrecision = "float32"
    output_dtype: OutputDtype = "input"
    dtypes: Tuple[Dtype, ...] = ("float32", "float64")
    half_parameters: Tuple[HalfParameters, ...] = ("float32",)
    ranks: Tuple[int, ...] = (2, 3, 4, 5)
    channel_axes: OfferedAxes = "any"
    layouts: Layouts = "strided"
    mutable_tensors: bool = True
    affine_optional: bool = True
    gradient_modes: Tuple[Mode, ...] = MODES
    checks_arguments: bool = False
    integers: bool = False
    input_normalization: bool = False
    input_missing: bool = False
    input_epsilon: float = 0.0
    root_roundings: float = ROOT_ROUNDINGS
    not_repeatable: Tuple[str, ...] = ()
    programs_apart: bool = False

    def __post_init__(self) -> None:
        for field, allowed in CHOICES.items():
            self._demand(field, getattr(self, field) in allowed, "it is one of " + ", ".join(allowed) + ".")
        for field in ("running_correction", "normalising_correction"):
            value = getattr(self, field)
            self._demand(
                field, value in CORRECTIONS, "the divisor is count - correction, and the correction is 0 or 1."
            )
        for field, known in (("dtypes", DTYPES), ("half_parameters", get_args(HalfParameters))):
            unknown = [d for d in getattr(self, field) if d not in known]
            self._demand(field, not unknown, "the specification covers " + ", ".join(known) + ".")
        self._demand(
            "gradient_modes", set(self.gradient_modes) <= set(MODES), "the modes are " + " and ".join(MODES) + "."
        )
        self._demand("dtypes", bool(self.dtypes), "a backend offers at least one.")
        self._demand("ranks", bool(self.ranks) and min(self.ranks, default=0) >= 2, "x has a batch and a channel axis.")
        for field in ("default_epsilon", "epsilon_minimum", "initial_var", "input_epsilon"):
            self._demand(field, 0.0 <= getattr(self, field) < math.inf, "it is finite and not negative.")
        self._demand("default_decay", 0.0 <= self.default_decay <= 1.0, "a weight lies in [0, 1].")
        known_calls = [c for c in self.not_repeatable if c not in CALLS]
        self._demand("not_repeatable", not known_calls, "the calls are " + ", ".join(CALLS) + ".")
        self._demand(
            "root_roundings", 1.0 <= self.root_roundings <= 64.0, "a root rounds once, and is no approximation."
        )
        self._demand("initial_mean", abs(self.initial_mean) < math.inf, "it is finite.")

    def _demand(self, field: str, holds: bool, rule: str) -> None:
        """Raise UsageError unless the field's value is allowed."""
        if not holds:
            what = "Conventions.%s is %r." % (field, getattr(self, field))
            raise UsageError(what, rule, "declare a value that keeps this rule in the adapter.")

    def to_json(self) -> Dict[str, Any]:
        """The conventions as JSON-ready data."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Conventions:
        """The inverse of ``to_json``. Raises UsageError on unknown fields."""
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise UsageError(
                "the conventions have the unknown field(s) %s." % ", ".join(unknown),
                "the known ones are " + ", ".join(sorted(known)) + ".",
                "remove or rename them.",
            )
        fields: Dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**fields)

    def declines(self, x_dtype: str, parameter_dtype: str, rank: int, channel_axis: int, affine: bool) -> str:
        """Why the backend does not support a case of this form; empty if it does."""
        reason = self.declines_dtypes(x_dtype, parameter_dtype)
        if reason:
            return reason
        if rank not in self.ranks:
            return "x of rank %d is not supported" % rank
        if not self.offers_axis(rank, channel_axis):
            return "channel axis %d of rank %d is not supported" % (channel_axis, rank)
        if not affine and not self.affine_optional:
            return "a layer without gamma and beta is not supported"
        return ""

    def declines_dtypes(self, x_dtype: str, parameter_dtype: str) -> str:
        """Why the backend does not support these dtypes; empty if it does."""
        if x_dtype not in self.dtypes:
            return "x of dtype %s is not supported" % x_dtype
        if x_dtype in HALVES:
            wanted = "input" if parameter_dtype == x_dtype else parameter_dtype
            offered = wanted in self.half_parameters
        else:
            offered = parameter_dtype == x_dtype
        return "" if offered else "%s parameters with %s x are not supported" % (parameter_dtype, x_dtype)

    def offers_axis(self, rank: int, channel_axis: int) -> bool:
        """Whether ``channel_axes`` admits this axis of x of this rank."""
        first, last = channel_axis == 1, channel_axis == rank - 1
        return {"first": first, "last": last, "first_and_last": first or last, "any": True}[self.channel_axes]


def _choices() -> Dict[str, Tuple[str, ...]]:
    """The allowed words of each field with a ``Literal`` type."""
    kinds = get_type_hints(Conventions)
    return {
        name: get_args(kind) for name, kind in kinds.items() if get_origin(kind) is Literal and kind is not Correction
    }


#: Allowed words of the fields with a ``Literal`` type.
CHOICES = _choices()
