"""Known deviations of Flax."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import all_half, has_padding, is_half, off_centre, trains_on_nothing

KNOWN: tuple[Known, ...] = (
    Known(
        "flax.*",
        (
            "training.output_is_stable",
            "running.statistics_are_stable",
            "gradient.training_is_stable",
            "dtype.half_is_as_exact_as_declared",
        ),
        off_centre,
        "a channel with |mean| > 8 std, or constant",
        "documented difference",
        "use_fast_variance, on by default, computes E[x^2] - E[x]^2, which its docstring calls less stable.",
        "https://github.com/google/flax/issues/1491",
        "flax",
        ">=0.12,<0.13",
    ),
    Known(
        "flax.*",
        ("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"),
        trains_on_nothing,
        "a batch without values",
        "bug",
        "training on an empty batch makes the running statistics and dgamma NaN, without an error.",
        "https://github.com/google-deepmind/sonnet/issues/125",
        "flax",
        ">=0.12,<0.13",
    ),
    Known(
        "flax.linen",
        ("dtype.results",),
        lambda case: is_half(case) and not all_half(case) and not case.config.affine,
        "half-precision x with float32 statistics, without scale and bias",
        "documented difference",
        "y's dtype is inferred from input and params, and there are no params: y is half although the statistics are float32.",
        "https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html#flax.linen.BatchNorm",
        "flax",
        ">=0.12,<0.13",
    ),
    Known(
        "flax.linen",
        ("dtype.half_is_as_exact_as_declared",),
        lambda case: is_half(case) and not all_half(case) and any(s.call.has_gradients for s in case.steps),
        "gradients of half-precision x with float32 statistics",
        "accuracy",
        "dx is the sum of the paths through x and through its statistics, each rounded to x's dtype before it is added.",
        "",
        "flax",
        ">=0.12,<0.13",
    ),
    Known(
        "flax.*",
        ("mask.padding_may_be_anything",),
        has_padding,
        "NaN in elements that the mask leaves out, and gradients are asked for",
        "bug",
        "the forward pass leaves padding out, but the backward pass multiplies it by a cotangent of 0: gradients are NaN.",
        "",
        "flax",
        ">=0.12,<0.13",
    ),
)
