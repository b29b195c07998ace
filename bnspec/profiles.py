"""Profiles: the conventions in which correct implementations legitimately differ, as data.

A profile says how a backend reads the definition where the definition leaves a choice. Conformance is relative to it; what
no profile allows is a deviation. Values are declared by the adapter and compared with what experiments infer.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Mapping, Tuple

from bnspec.errors import UsageError

HALVES = ("float16", "bfloat16")
DTYPES = ("float64", "float32", "bfloat16", "float16")

#: Allowed values of the fields that are a choice of words.
CHOICES: Dict[str, Tuple[str, ...]] = {
    "count_one": ("raises", "biased", "unspecified"),
    "empty_batch": ("raises", "keeps_state", "unspecified"),
    "channel_axes": ("first", "last", "first_and_last", "any"),
    "output_dtype": ("input", "promoted"),
    "momentum_weighs": ("new", "old", "none"),
    "layouts": ("strided", "normalised"),
    "half_statistics": ("float32", "input"),
    "half_arithmetic": ("float32", "input"),
}


@dataclasses.dataclass(frozen=True)
class Profile:
    """The conventions of one backend.

    Attributes:
        running_correction: divisor of the variance that enters the running variance is ``count - running_correction``.
        normalising_correction: the same for the variance that normalises; the definition has 0.
        momentum_weighs: what the framework's momentum number weighs, the "new" or the "old" value ("none": no such number).
        default_epsilon, default_decay: what a user gets who says nothing; decay is the weight that the old value keeps.
        epsilon_dtype: the dtype in which the framework stores epsilon ("float64" where it keeps the Python number).
        epsilon_minimum: epsilons below are documented as replaced by this value; 0 where none is.
        count_one: training with one value per channel: "raises", "biased" (the biased variance, 0, is stored), "unspecified".
        empty_batch: training with no value: "raises", "keeps_state", "unspecified".
        half_statistics, half_arithmetic: the dtype in which mean and variance are reduced, and in which the normalised value
            is formed, when x is float16 or bfloat16: "float32" or "input".
        output_dtype: y has x's dtype ("input") or the promotion of x's and the parameters' ("promoted").
        dtypes: dtypes of x that are offered.
        half_parameters: dtypes of gamma, beta and the running statistics offered with a half-precision x:
            a subset of ("float32", "input").
        ranks: numbers of axes of x that are offered.
        channel_axes: "first" (axis 1), "last", "first_and_last" or "any".
        layouts: "strided" (strides reach the kernel) or "normalised" (arrays are packed when they enter the framework).
        mutable_tensors: users can write into tensors, so that results may not share memory with arguments.
        affine_optional: gamma and beta may be absent.
        input_normalization: the framework has a layer for it.
        input_epsilon: what input normalization adds to the variance inside the root, or 0.
    """

    running_correction: int = 0
    normalising_correction: int = 0
    momentum_weighs: str = "new"
    default_epsilon: float = 1e-5
    default_decay: float = 0.9
    epsilon_dtype: str = "float64"
    epsilon_minimum: float = 0.0
    count_one: str = "biased"
    empty_batch: str = "unspecified"
    half_statistics: str = "float32"
    half_arithmetic: str = "float32"
    output_dtype: str = "input"
    dtypes: Tuple[str, ...] = ("float32", "float64")
    half_parameters: Tuple[str, ...] = ("float32",)
    ranks: Tuple[int, ...] = (2, 3, 4, 5)
    channel_axes: str = "any"
    layouts: str = "strided"
    mutable_tensors: bool = True
    affine_optional: bool = True
    input_normalization: bool = False
    input_epsilon: float = 0.0

    def __post_init__(self) -> None:
        for field, allowed in CHOICES.items():
            value = getattr(self, field)
            if value not in allowed:
                raise UsageError(
                    "Profile.%s is %r." % (field, value),
                    "it is one of " + ", ".join(allowed) + ".",
                    "declare one of them in the adapter.",
                )
        for field, corrections in (("running_correction", (0, 1)), ("normalising_correction", (0, 1))):
            if getattr(self, field) not in corrections:
                raise UsageError(
                    "Profile.%s is %r." % (field, getattr(self, field)),
                    "the divisor is count - correction, and the correction is 0 or 1.",
                    "declare 0 (biased) or 1 (unbiased).",
                )
        unknown = [d for d in self.dtypes if d not in DTYPES]
        if unknown:
            raise UsageError(
                "Profile.dtypes names %s." % ", ".join(unknown),
                "the specification covers " + ", ".join(DTYPES) + ".",
                "leave the others out.",
            )

    def to_json(self) -> Dict[str, Any]:
        """The profile as JSON-ready data."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """The inverse of ``to_json``. Raises UsageError on unknown fields."""
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise UsageError(
                "a profile has the unknown field(s) %s." % ", ".join(unknown),
                "the known ones are " + ", ".join(sorted(known)) + ".",
                "remove or rename them.",
            )
        fields: Dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**fields)

    def declines(self, x_dtype: str, parameter_dtype: str, rank: int, channel_axis: int, affine: bool) -> str:
        """Why a case of this form is outside what the backend offers; empty when it is inside."""
        if x_dtype not in self.dtypes:
            return "x of dtype %s is not offered" % x_dtype
        if x_dtype in HALVES:
            wanted = "input" if parameter_dtype == x_dtype else parameter_dtype
            if wanted not in self.half_parameters:
                return "%s parameters with %s x are not offered" % (parameter_dtype, x_dtype)
        elif parameter_dtype != x_dtype:
            return "%s parameters with %s x are not offered" % (parameter_dtype, x_dtype)
        if rank not in self.ranks:
            return "x of rank %d is not offered" % rank
        first, last = channel_axis == 1, channel_axis == rank - 1
        offered = {"first": first, "last": last, "first_and_last": first or last, "any": True}[self.channel_axes]
        if not offered:
            return "channel axis %d of rank %d is not offered" % (channel_axis, rank)
        if not affine and not self.affine_optional:
            return "a layer without gamma and beta is not offered"
        return ""
