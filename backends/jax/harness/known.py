"""Known deviations of JAX."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import half_cotangent_overflows, has_padding, off_centre, square_overflows

KNOWN: tuple[Known, ...] = (
    Known(
        "jax.nn",
        ("training.output_is_stable", "gradient.training_is_stable"),
        off_centre,
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
        square_overflows,
        "float16 x with a value of 256 or more, whose square is infinite",
        "accuracy",
        'algorithm "fast" squares x in its own dtype: infinity minus infinity, and y is NaN.',
        "https://github.com/jax-ml/jax/issues/37281",
        "jax",
        ">=0.10,<0.11",
    ),
    Known(
        "jax.nn",
        (
            "affine.per_channel",
            "dtype.half_is_as_exact_as_declared",
            "epsilon.inside_root_in_training",
            "gradient.training_dx",
            "layout.strides",
        ),
        half_cotangent_overflows,
        "float16 throughout, and dy times the reciprocal root exceeds its range",
        "accuracy",
        "dx is formed in x's dtype: dy times the reciprocal root overflows before gamma makes it small.",
        "",
        "jax",
        ">=0.10,<0.11",
    ),
    Known(
        "jax.nn",
        ("mask.padding_may_be_anything",),
        has_padding,
        "NaN in elements that ``where`` leaves out, and gradients are asked for",
        "documented difference",
        "the backward pass of a reduction with where= multiplies what was left out by a cotangent of 0: gradients are NaN.",
        "https://docs.jax.dev/en/latest/faq.html#gradients-contain-nan-where-using-where",
        "jax",
        ">=0.10,<0.11",
    ),
)
