"""Known deviations of JAX."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import (
    has_padding,
    off_centre,
    square_overflows,
    takes_integers,
    trains_on_nothing,
)
from bnspec.model.case import Case

#: What a wrong variance in training shows in.
SCALED = (
    "accuracy.errors_are_unbiased",
    "accuracy.keeps_a_digit",
    "affine.absent_is_identity",
    "affine.per_channel",
    "degenerate.constant_channel",
    "dtype.half_is_as_exact_as_declared",
    "dtype.integers_become_floating",
    "epsilon.as_given",
    "epsilon.inside_root_in_training",
    "gradient.each_argument_alone",
    "gradient.forward_mode",
    "gradient.orthogonality",
    "gradient.training_dgamma",
    "gradient.training_dx",
    "gradient.training_is_stable",
    "layout.axis",
    "layout.extents",
    "layout.strides",
    "mask.equals_compaction",
    "mask.gradients",
    "mask.padding_may_be_anything",
    "purity.shared_arguments",
    "second_order.cotangent_and_scale",
    "second_order.gradient_of_the_tangent",
    "second_order.third_derivative",
    "second_order.training",
    "special.channels_are_isolated",
    "training.output",
    "training.output_is_stable",
    "training.shift_invariant",
)


def sum_squared_overflows(case: Case) -> bool:
    """Of some channel of a float16 batch the sum has a square beyond float16's range, or the squares a sum."""
    if case.config.dtype != "float16":
        return False
    for name in {s.inputs[0] for s in case.steps if s.inputs and s.call.mode == "training" and not s.refused}:
        x = case.arrays[name].astype(np.float64)
        sums, squares = (np.sum(a, axis=case.config.reduce_axes) for a in (x, x * x))
        if (np.abs(sums) > 255.9).any() or (squares > 65504.0).any():
            return True
    return False


KNOWN: tuple[Known, ...] = (
    Known(
        title="The fast variance cancels",
        backends="jax.nn",
        clauses=("training.output_is_stable", "gradient.training_is_stable", "accuracy.keeps_a_digit"),
        where=off_centre,
        conditions="a channel with |mean| > 8 std, or constant",
        kind="documented difference",
        reason='algorithm "fast", the default, computes mean(x^2) - mean(x)^2, which its docstring says can cancel catastrophically.',
        observed=('algorithm="fast", the default, of 1000, 1000.25, 999.75, 1000.5: y[1] is 0.49996, exact 0.44718.'),
        link="https://github.com/jax-ml/jax/issues/37281",
        reported=True,
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="The fast variance squares in float16",
        backends="jax.nn",
        clauses=(
            "dtype.half_is_as_exact_as_declared",
            "input.constant_feature_is_finite",
        ),
        where=square_overflows,
        conditions="float16 x with a value of 256 or more, whose square is infinite",
        kind="accuracy",
        reason='algorithm "fast" squares x in its own dtype: infinity minus infinity, and y is NaN.',
        observed="standardize([300, 301, 302]) is NaN three times.",
        link="https://github.com/jax-ml/jax/issues/37281",
        reported=True,
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="Padding reaches the gradients",
        backends="jax.nn, jax.nn.stable",
        clauses=("mask.padding_may_be_anything",),
        where=has_padding,
        conditions="NaN in elements that ``where`` leaves out, and gradients are asked for",
        kind="documented difference",
        reason="the backward pass of a reduction with where= multiplies what was left out by a cotangent of 0: gradients are NaN.",
        observed="The suite's case: dx is NaN where dy is 0.",
        link="https://docs.jax.dev/en/latest/faq.html#gradients-contain-nan-where-using-where",
        reported=True,
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="Integers are squared in their own dtype",
        backends="jax.nn",
        clauses=("dtype.integers_become_floating",),
        where=takes_integers,
        conditions="training on integers whose squares do not fit into their dtype, as uint8 from 16 on",
        kind="bug",
        reason='algorithm "fast" takes the mean of x^2 formed in the integer dtype, where it wraps: the variance is wrong.',
        observed="standardize of [100, 101, 103] in uint8: -421.6, -105.4, 527.0; in float32 -1.069, -0.267, 1.337.",
        reported=False,
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="A row's bits depend on its batch",
        backends="jax.numpy.eager",
        clauses=("inference.bits_are_independent_of_batch",),
        where=lambda case: True,
        conditions="inference of a part of the batch, operation by operation",
        kind="accuracy",
        reason="XLA compiles each shape by itself, and rounds the quotient of x and a broadcast row differently for one row and for several.",
        observed="float32, x of shape (7, 3), s of shape (3,): jnp.divide(x, s)[0] and jnp.divide(x[:1], s)[0] differ in their last bits.",
        reported=True,
        link="https://github.com/jax-ml/jax/issues/26308",
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="A given mean replaces the mean of the variance",
        backends="jax.nn.scaled",
        clauses=SCALED,
        where=lambda case: any(s.call.mode == "training" for s in case.steps),
        conditions="mean is given and variance is not, and the mean is not that of x",
        kind="bug",
        reason=(
            'the variance is computed around the given mean, by algorithm "stable" as mean((x - mean)^2), by "fast" as mean(x^2) - mean^2 '
            "clipped at 0, where the documentation says x.var."
        ),
        observed=(
            'x 1, 3, 5, mean=10: "fast" divides by the root of epsilon, -2846, -2214, -1581; "stable" gives -1.252, -0.974, -0.696; by x.var, as '
            "documented, -5.511, -4.287, -3.062."
        ),
        reported=False,
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="StableHLO's variance cancels",
        backends="jax.stablehlo",
        clauses=(
            "training.output_is_stable",
            "running.statistics_are_stable",
            "gradient.training_is_stable",
            "accuracy.keeps_a_digit",
            "dtype.half_is_as_exact_as_declared",
        ),
        where=off_centre,
        conditions="batch_norm_training of a channel with |mean| > 8 std, or constant",
        kind="accuracy",
        reason="XLA expands batch_norm_training to E[x^2] - E[x]^2, in x's dtype.",
        observed="Of 1000, 1000.25, 999.75, 1000.5 the variance is 0.0625, exact 0.078125, and y[1] without epsilon 0.5, exact 0.4472.",
        link="https://github.com/tensorflow/tensorflow/pull/25115",
        reported=True,
        search="The link is a change to E[(x - E[x])^2] that was not taken, since one pass is faster.",
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="StableHLO's variance may be negative",
        backends="jax.stablehlo",
        clauses=("training.finite", "running.var_not_negative", "degenerate.constant_channel"),
        where=off_centre,
        conditions="batch_norm_training of a channel with |mean| > 8 std, or constant",
        kind="bug",
        reason="E[x^2] - E[x]^2 is not clipped at 0: the variance that batch_norm_training returns is negative, and y and its gradients are NaN.",
        observed="Seven times 1024.1, epsilon 1e-5: the variance is -0.0960, y NaN; seven times 10000.1: -18.39, NaN.",
        link="https://github.com/tensorflow/tensorflow/issues/118701",
        reported=True,
        search="The report is of the same through TensorFlow.",
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="StableHLO squares a sum in float16",
        backends="jax.stablehlo",
        clauses=("dtype.half_is_as_exact_as_declared",),
        where=sum_squared_overflows,
        conditions="batch_norm_training in float16 of a channel whose values add up to more than 255, or whose squares to more than 65,504",
        kind="accuracy",
        reason="XLA expands the variance to sum(x^2) / n - sum(x)^2 / n^2 in x's dtype: the square of a sum beyond 255.9 is infinite, and y is NaN.",
        observed="float16 150, 100, 120, epsilon 1: the variance is -inf and y NaN, exact 422.2; 1,000 normal numbers around 0.5: the same.",
        reported=False,
        package="jax",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="StableHLO's gradient of an empty batch is NaN",
        backends="jax.stablehlo",
        clauses=("degenerate.gradients_of_empty_batch",),
        where=trains_on_nothing,
        conditions="batch_norm_grad of a batch without values",
        kind="bug",
        reason="grad_scale is a sum over nothing, 0, times 1 / sqrt(variance + epsilon), where the variance is 0/0.",
        observed="x of shape (0, 1): grad_scale is NaN, grad_offset 0.",
        reported=False,
        package="jax",
        versions=">=0.10,<0.11",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="jax.nn",
        clause="input.constant_feature_keeps_its_unit",
        note="a constant feature is scaled by something else than 1.",
    ),
    Choice(
        backend="jax.numpy",
        clause="gradient.forward_agrees",
        note="y differs in bits with and without gradients, as XLA fuses the two graphs differently.",
    ),
)
