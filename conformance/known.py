"""Known deviations: for each, on which inputs it happens, what class it is, why, and in which releases.

Strict both ways: a deviation outside every entry's inputs is new; an entry whose deviation no longer happens is stale. Both
fail ``pytest conformance``. An entry never hides anything: the finding is counted and shown, with its class and reason.

Classes: "bug" (contradicts the framework's own documentation or the definition), "documented difference" (the framework says
so), "accuracy" (right semantics, computed less exactly than good implementations do).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from packaging.specifiers import SpecifierSet

from bnspec.case import Case
from bnspec.clauses import CLAUSES
from bnspec.errors import UsageError
from bnspec.profiles import HALVES

CLASSES = ("bug", "documented difference", "accuracy")
Predicate = Callable[[Case], bool]


@dataclass(frozen=True)
class Known:
    """A known deviation.

    Attributes:
        backend, clauses: shell globs over backend names; clause ids.
        where: the predicate over cases; inputs: the same in words.
        kind: one of ``CLASSES``; reason: one sentence; link: where it is documented or reported.
        package, versions: the releases in which it is known, as a PEP 440 specifier.
    """

    backend: str
    clauses: tuple[str, ...]
    where: Predicate
    inputs: str
    kind: str
    reason: str
    link: str
    package: str
    versions: str

    def __post_init__(self) -> None:
        unknown = [c for c in self.clauses if c not in CLAUSES]
        if unknown or self.kind not in CLASSES:
            raise UsageError(
                f"a known deviation names {unknown or self.kind!r}.", "no such clause or class.", "mend known.py."
            )

    def covers(self, backend: str, versions: Mapping[str, str], clause: str, case: Case) -> bool:
        """Whether this is the deviation of that clause on that case."""
        return self.concerns(backend, versions) and clause in self.clauses and self.where(case)

    def concerns(self, backend: str, versions: Mapping[str, str]) -> bool:
        """Whether it is known of this release of the backend."""
        release = versions.get(self.package, "")
        return fnmatch.fnmatchcase(backend, self.backend) and bool(release) and release in SpecifierSet(self.versions)

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def _is_half(case: Case) -> bool:
    return case.config.dtype in HALVES


def _all_half(case: Case) -> bool:
    return _is_half(case) and case.config.parameter_dtype == case.config.dtype


def _half_not_packed(case: Case) -> bool:
    return _is_half(case) and any(not a.flags.c_contiguous for a in case.arrays.values())


def _is_view(case: Case) -> bool:
    return not case.arrays["x"].flags.c_contiguous


def _has_empty_chunk(case: Case) -> bool:
    return case.subject == "input_norm" and any(a.size == 0 for a in case.arrays.values())


def _is_empty(case: Case) -> bool:
    return case.subject == "batch_norm" and case.arrays["x"].size == 0


def _off_centre(case: Case) -> bool:
    """Some channel of a batch has |mean| > 8 std, or is constant, where E[x^2] - E[x]^2 loses digits."""
    for name in ("x", "x2"):
        if name in case.arrays and case.arrays[name].size:
            x = case.arrays[name].astype(np.float64)
            with np.errstate(all="ignore"):
                mean, std = (f(x, axis=case.config.reduce_axes) for f in (np.mean, np.std))
                if bool((np.abs(mean) > 8.0 * std).any()):
                    return True
    return False


def _float64_data(case: Case) -> bool:
    return case.subject == "input_norm" and case.config.dtype == "float64"


def _tiny_spread(case: Case) -> bool:
    x = case.arrays["x"].astype(np.float64)
    return case.subject == "input_norm" and bool((np.std(x, axis=case.config.reduce_axes) < 1e-6).any())


TORCH = ">=2.13,<2.14"
EMPTY = ("degenerate.empty_batch",)

KNOWN: tuple[Known, ...] = (
    Known(
        "torch.*",
        ("dtype.half_is_as_exact_as_declared",),
        lambda case: _all_half(case) or _half_not_packed(case),
        "half-precision x with half-precision parameters, or not packed",
        "accuracy",
        "statistics, or the gradients of gamma and beta, are rounded to x's dtype on the way.",
        "https://github.com/pytorch/pytorch/issues/156513",
        "torch",
        TORCH,
    ),
    Known(
        "torch.*",
        ("inference.bits_are_independent_of_batch",),
        _is_view,
        "x is a view with strides of its own, of which one row is packed",
        "accuracy",
        "packed and strided inputs take different kernels, which round differently.",
        "https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html",
        "torch",
        TORCH,
    ),
    Known(
        "torch.*",
        ("purity.shared_arguments",),
        lambda case: True,
        "bias and running_mean, or weight and running_var, are the same memory",
        "bug",
        "the running statistics are written before weight and bias are read.",
        "",
        "torch",
        TORCH,
    ),
    Known(
        "flax.nnx",
        (
            "training.output_is_stable",
            "running.statistics_are_stable",
            "gradient.training_is_stable",
            "dtype.half_is_as_exact_as_declared",
        ),
        _off_centre,
        "a channel with |mean| > 8 std, or constant",
        "documented difference",
        "use_fast_variance, on by default, computes E[x^2] - E[x]^2, which its docstring calls less stable.",
        "https://github.com/google/flax/issues/1491",
        "flax",
        ">=0.12,<0.13",
    ),
    Known(
        "flax.nnx",
        EMPTY,
        _is_empty,
        "a batch without values",
        "bug",
        "training on an empty batch makes the running statistics NaN, without an error.",
        "https://github.com/google-deepmind/sonnet/issues/125",
        "flax",
        ">=0.12,<0.13",
    ),
    Known(
        "tensorflow.fused",
        EMPTY,
        _is_empty,
        "a batch without values",
        "documented difference",
        "the kernel returns NaN statistics for an empty batch on purpose, and they enter the running ones.",
        "https://github.com/tensorflow/tensorflow/issues/15264",
        "tensorflow",
        ">=2.21,<2.22",
    ),
    Known(
        "keras",
        EMPTY,
        _is_empty,
        "a batch without values",
        "bug",
        "training on an empty batch makes the running statistics NaN, without an error.",
        "https://github.com/google-deepmind/sonnet/issues/125",
        "keras",
        ">=3.15,<3.16",
    ),
    Known(
        "keras",
        ("input.empty_chunk_changes_nothing",),
        _has_empty_chunk,
        "a batch of the training set has no rows",
        "bug",
        "Normalization.adapt divides by the batch's count of 0: NaN statistics, or ZeroDivisionError for the first batch.",
        "",
        "keras",
        ">=3.15,<3.16",
    ),
    Known(
        "keras",
        ("contract.accepts",),
        _float64_data,
        "a float64 training set given as a dataset, layer dtype float64",
        "bug",
        "Normalization.adapt adds its float32 accumulators to float64 moments and raises InvalidArgumentError.",
        "",
        "keras",
        ">=3.15,<3.16",
    ),
    Known(
        "keras",
        ("input.transform", "input.inverse"),
        _tiny_spread,
        "a feature whose standard deviation is below 1e-6",
        "bug",
        "Normalization divides by max(sqrt(var), 1e-7), where its documentation says sqrt(var).",
        "",
        "keras",
        ">=3.15,<3.16",
    ),
)


def excuse_for(backend: str, versions: Mapping[str, str]) -> Callable[[str, Case], str]:
    """For a release of a backend: which known deviation covers a clause on a case, as "class: reason", or nothing."""
    mine = [k for k in KNOWN if k.concerns(backend, versions)]

    def excuse(clause: str, case: Case) -> str:
        return next((str(k) for k in mine if clause in k.clauses and k.where(case)), "")

    return excuse
