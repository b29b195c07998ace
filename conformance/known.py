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


def _square_overflows(case: Case) -> bool:
    """Some value of a float16 batch has a square beyond float16's range."""
    batches = [case.arrays[n] for n in ("x", "x2") if n in case.arrays and case.config.dtype == "float16"]
    return any(bool((np.abs(x.astype(np.float64)) > 255.9).any()) for x in batches)


def _one_value(case: Case) -> bool:
    """Some gradient is asked for a batch with one value per channel, where dbeta is dy."""
    return any(n.startswith("dy") and a.size == case.config.channels for n, a in case.arrays.items())


TORCH = ">=2.13,<2.14"
#: What a computation in float32 does not keep when float64 was asked for.
FLOAT64 = (
    "affine.absent_is_identity",
    "affine.per_channel",
    "affine.zero_gamma_gives_beta",
    "epsilon.as_given",
    "epsilon.inside_root_in_inference",
    "epsilon.inside_root_in_training",
    "epsilon.not_in_running_variance",
    "gradient.inference_dx",
    "gradient.inference_parameters",
    "gradient.null_space",
    "gradient.training_dbeta",
    "gradient.training_dgamma",
    "gradient.training_dx",
    "gradient.training_is_stable",
    "inference.follows_training",
    "inference.output",
    "inference.value_is_independent_of_batch",
    "input.chunks_do_not_matter",
    "input.constant_feature_is_finite",
    "input.fit",
    "input.fit_is_stable",
    "input.inverse",
    "input.transform",
    "layout.axis",
    "layout.extents",
    "layout.strides",
    "running.decay_one_keeps",
    "running.decay_zero_replaces",
    "running.mean",
    "running.moves_once_with_gradients",
    "running.second_step_continues",
    "running.statistics_are_stable",
    "running.var",
    "special.channels_are_isolated",
    "training.output",
    "training.output_is_stable",
)
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
        "flax.*",
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
        "flax.*",
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
        "keras*",
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
        "keras*",
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
        "keras*",
        ("input.transform", "input.inverse"),
        _tiny_spread,
        "a feature whose standard deviation is below 1e-6",
        "bug",
        "Normalization divides by max(sqrt(var), 1e-7), where its documentation says sqrt(var).",
        "",
        "keras",
        ">=3.15,<3.16",
    ),
    Known(
        "torch.decomposed",
        ("dtype.half_is_as_exact_as_declared",),
        _is_half,
        "half-precision x",
        "accuracy",
        "the decomposition rounds the saved mean and reciprocal root to x's dtype on the CPU, and the gradients use them.",
        "",
        "torch",
        TORCH,
    ),
    Known(
        "flax.linen",
        ("dtype.results",),
        lambda case: _is_half(case) and not _all_half(case) and not case.config.affine,
        "half-precision x with float32 statistics, without scale and bias",
        "documented difference",
        "y's dtype is inferred from input and params, and there are no params: y is half although the statistics are float32.",
        "https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html#flax.linen.BatchNorm",
        "flax",
        ">=0.12,<0.13",
    ),
    Known(
        "jax.nn",
        ("training.output_is_stable", "gradient.training_is_stable"),
        _off_centre,
        "a channel with |mean| > 8 std, or constant",
        "documented difference",
        'algorithm "fast", the default, computes mean(x^2) - mean(x)^2, which its docstring says can cancel catastrophically.',
        "https://github.com/jax-ml/jax/issues/37281",
        "jax",
        ">=0.10,<0.11",
    ),
    Known(
        "jax.nn",
        ("dtype.half_is_as_exact_as_declared",),
        _square_overflows,
        "float16 x with a value of 256 or more, whose square is infinite",
        "accuracy",
        'algorithm "fast" squares x in its own dtype: infinity minus infinity, and y is NaN.',
        "https://github.com/jax-ml/jax/issues/37281",
        "jax",
        ">=0.10,<0.11",
    ),
    Known(
        "keras.torch",
        (
            "training.output_is_stable",
            "running.statistics_are_stable",
            "gradient.training_is_stable",
            "dtype.half_is_as_exact_as_declared",
        ),
        _off_centre,
        "a channel with |mean| > 8 std, or constant",
        "accuracy",
        "keras.ops.moments computes E[x^2] - E[x]^2 on PyTorch; on TensorFlow and JAX that was mended.",
        "https://github.com/keras-team/keras/pull/18795",
        "keras",
        ">=3.15,<3.16",
    ),
    Known(
        "keras.torch",
        ("running.var_not_negative", "training.finite"),
        _off_centre,
        "a channel with |mean| > 8 std, or constant",
        "bug",
        "E[x^2] - E[x]^2 is not clipped at 0: a negative variance is stored, and y becomes NaN.",
        "https://github.com/keras-team/keras/pull/18795",
        "keras",
        ">=3.15,<3.16",
    ),
    Known(
        "keras.torch",
        ("purity.results_are_new",),
        _one_value,
        "a batch with one value per channel, of which dbeta is dy",
        "accuracy",
        "autograd hands dy through where nothing is summed or scaled: dbeta is a view of it.",
        "",
        "torch",
        TORCH,
    ),
    Known(
        "keras.[tj]*",
        FLOAT64,
        lambda case: case.config.dtype == "float64",
        "float64 x, layer dtype float64",
        "bug",
        "result_type makes float64 float32 on every backend but TensorFlow: the layer computes in float32, without a warning.",
        "https://github.com/keras-team/keras/issues/23704",
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
