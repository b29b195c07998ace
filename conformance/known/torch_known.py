"""Known deviations of PyTorch."""

from __future__ import annotations

from bnspec.conformance.known.entry import Known
from bnspec.conformance.known.inputs import (
    all_half,
    channels_innermost_strided_parameters,
    half_not_packed,
    is_half,
    is_view,
    tangent_of_overlapping,
)

RELEASES = ">=2.13,<2.14"
#: What a wrong weight or running statistic in the backward pass shows in.
BACKWARD = (
    "affine.absent_is_identity",
    "affine.per_channel",
    "affine.zero_gamma_gives_beta",
    "degenerate.constant_channel",
    "epsilon.as_given",
    "epsilon.inside_root_in_inference",
    "epsilon.inside_root_in_training",
    "gradient.inference_dx",
    "gradient.inference_parameters",
    "gradient.null_space",
    "gradient.orthogonality",
    "gradient.training_dx",
    "gradient.training_is_stable",
    "layout.axis",
    "layout.extents",
    "layout.strides",
    "special.channels_are_isolated",
    "training.finite",
)

PYTORCH: tuple[Known, ...] = (
    Known(
        "torch.*",
        ("dtype.half_is_as_exact_as_declared",),
        lambda case: all_half(case) or half_not_packed(case),
        "half-precision x with half-precision parameters, or not packed",
        "accuracy",
        "statistics, or the gradients of gamma and beta, are rounded to x's dtype on the way.",
        "https://github.com/pytorch/pytorch/issues/156513",
        "torch",
        RELEASES,
    ),
    Known(
        "torch.*",
        ("inference.bits_are_independent_of_batch",),
        is_view,
        "x is a view with strides of its own, of which one row is packed",
        "accuracy",
        "packed and strided inputs take different kernels, which round differently.",
        "https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html",
        "torch",
        RELEASES,
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
        RELEASES,
    ),
    Known(
        "torch.decomposed",
        ("dtype.half_is_as_exact_as_declared",),
        is_half,
        "half-precision x",
        "accuracy",
        "the decomposition rounds the saved mean and reciprocal root to x's dtype on the CPU, and the gradients use them.",
        "",
        "torch",
        RELEASES,
    ),
    Known(
        "torch.[nf]*",
        BACKWARD,
        channels_innermost_strided_parameters,
        "weight or a running statistic is a view with strides, x and dy have their channels innermost, on the CPU",
        "bug",
        "the backward kernel for channels-last memory reads weight, running_mean and running_var as if they were packed.",
        "",
        "torch",
        RELEASES,
    ),
    Known(
        "torch.*",
        ("contract.accepts",),
        tangent_of_overlapping,
        "forward mode at an x that was expanded",
        "bug",
        "make_dual copies the tangent into memory of x's strides, and refuses when elements of x overlap.",
        "",
        "torch",
        RELEASES,
    ),
)
