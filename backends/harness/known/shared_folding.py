"""What a convolution with two modules, folded with the wrong one, shows in; whoever folds it."""

from __future__ import annotations

#: All that the folded parameters and statistics reach.
OTHER_MODULE = (
    "affine.absent_is_identity",
    "affine.per_channel",
    "affine.zero_gamma_gives_beta",
    "dtype.half_is_as_exact_as_declared",
    "epsilon.as_given",
    "epsilon.inside_root_in_inference",
    "inference.output",
    "inference.value_is_independent_of_batch",
    "layout.axis",
    "layout.extents",
    "layout.strides",
    "special.negative_variance_is_shown",
    "special.parameters_are_not_hidden",
)
