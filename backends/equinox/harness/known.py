"""Known deviations of Equinox."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import all_half, differentiates_state, is_half, trains_on_nothing
from bnspec.model.case import Case


def cotangent_overflows(case: Case) -> bool:
    """Everything is float16, and dy times the reciprocal root may be beyond float16's range."""
    if not all_half(case) or case.config.dtype != "float16":
        return False
    given = [case.arrays[s.inputs[1]] for s in case.steps if s.call.has_gradients and not s.refused]
    limit = 65504.0 * np.sqrt(case.config.epsilon)
    return any(float(np.abs(dy.astype(np.float64)).max(initial=0.0)) > limit / 8 for dy in given)


def trains(case: Case) -> bool:
    """A layer is trained."""
    return case.subject == "batch_norm" and any(s.call.mode == "training" for s in case.steps)


def trains_mixed(case: Case) -> bool:
    """A layer of float32 is trained on half-precision x."""
    return trains(case) and is_half(case) and not all_half(case)


def trains_a_new_layer(case: Case) -> bool:
    """A layer with its own initial values is trained."""
    return trains(case) and any(s.option("initial") for s in case.steps)


KNOWN: tuple[Known, ...] = (
    Known(
        title="A debiased variance starts at 1",
        backends="equinox.batch",
        clauses=(
            "running.debias_from_zero_only",
            "running.moves_once_with_gradients",
            "running.statistics_are_stable",
            "running.var",
            "layout.axis",
            "layout.extents",
        ),
        where=trains_a_new_layer,
        conditions='training of a new layer in mode "batch"',
        kind="bug",
        reason="the hidden variance starts at 1 and is divided by 1 - momentum^steps, which is the removal of a start at 0.",
        observed="momentum 0.99, one training step on -1, 1, whose variance is 1: inference divides by the root of 100.",
        reported=False,
        link="https://github.com/patrick-kidger/equinox/issues/1010",
        search="The report is of the 0/0 before the first step, whose repair let the mean start at 0 and the variance at 1.",
        package="equinox",
        versions=">=0.13.8,<0.14",
    ),
    Known(
        title="Mode ema normalises by the moved statistics",
        backends="equinox.ema",
        clauses=(
            "accuracy.errors_are_unbiased",
            "affine.absent_is_identity",
            "affine.per_channel",
            "degenerate.constant_channel",
            "degenerate.gradients_of_count_one",
            "dtype.half_is_as_exact_as_declared",
            "dtype.integers_become_floating",
            "epsilon.as_given",
            "epsilon.inside_root_in_training",
            "gradient.each_argument_alone",
            "gradient.forward_mode",
            "gradient.null_space",
            "gradient.orthogonality",
            "gradient.training_dgamma",
            "gradient.training_dx",
            "gradient.training_is_stable",
            "layout.axis",
            "layout.extents",
            "layout.strides",
            "purity.shared_arguments",
            "second_order.cotangent_and_scale",
            "second_order.training",
            "special.channels_are_isolated",
            "training.finite",
            "training.ignores_decay",
            "training.ignores_running_state",
            "training.output",
            "training.output_is_stable",
            "training.output_moments",
            "training.scale_equivariant",
            "accuracy.keeps_a_digit",
            "second_order.third_derivative",
            "training.shift_invariant",
            "second_order.gradient_of_the_tangent",
        ),
        where=trains,
        conditions='training in mode "ema"',
        kind="documented difference",
        reason='in training, too, mode "ema" normalises by the running statistics after their update; mode "batch" was added for it.',
        observed='momentum 0.9, a batch 0, 2 and then 10, 14: y of the second is 6.93, 10.44; of mode "batch" -1, 1.',
        reported=True,
        link="https://github.com/patrick-kidger/equinox/issues/659",
        package="equinox",
        versions=">=0.13.8,<0.14",
    ),
    Known(
        title="An empty batch makes statistics NaN",
        backends="equinox.*",
        clauses=("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean over no samples, 0/0, enters the statistics, without an error.",
        observed="The suite's case: running_mean becomes nan.",
        reported=True,
        link="https://github.com/google-deepmind/sonnet/issues/125",
        search="The report is of the same in Sonnet.",
        package="equinox",
        versions=">=0.13.8,<0.14",
    ),
    Known(
        title="dx overflows before gamma makes it small",
        backends="equinox.batch",
        clauses=(
            "affine.per_channel",
            "dtype.half_is_as_exact_as_declared",
            "epsilon.inside_root_in_training",
            "gradient.training_dx",
            "layout.strides",
        ),
        where=cotangent_overflows,
        conditions="float16 throughout, and dy times the reciprocal root nears the range of float16",
        kind="accuracy",
        reason="the gradient is formed in x's dtype: partial sums overflow, and inf - inf is NaN.",
        observed="The suite's case: dx is NaN, expected 84355.7, which float16 rounds to infinity.",
        reported=True,
        link="https://github.com/pytorch/pytorch/issues/156513",
        search="The report is of the same arithmetic in PyTorch.",
        package="equinox",
        versions=">=0.13.8,<0.14",
    ),
    Known(
        title="A row's bits depend on its batch",
        backends="equinox.*",
        clauses=("inference.bits_are_independent_of_batch",),
        where=lambda case: True,
        conditions="inference of a part of the batch",
        kind="accuracy",
        reason="XLA compiles each shape by itself, and rounds the fused expression differently.",
        observed="The suite's case: row 0 has other bits alone than in the batch.",
        reported=True,
        link="https://github.com/jax-ml/jax/issues/26308",
        package="equinox",
        versions=">=0.13.8,<0.14",
    ),
    Known(
        title="Gradients flow through the running statistics",
        backends="equinox.*",
        clauses=("gradient.none_through_the_running_update",),
        where=differentiates_state,
        conditions="a loss that reads the running statistics after the step, by JAX's differentiation",
        kind="bug",
        reason="the statistics in the new state are functions of x, and their update is not cut out of the differentiation.",
        observed='momentum 0.5, mode "batch", x [[1], [3]]: the gradient of the new hidden mean by x is [0.25, 0.25].',
        reported=False,
        package="equinox",
        versions=">=0.13.8,<0.14",
    ),
    Known(
        title="Mode ema refuses half precision by a float32 layer",
        backends="equinox.ema",
        clauses=("contract.accepts",),
        where=trains_mixed,
        conditions='training in mode "ema" on float16 or bfloat16 x by a layer of float32, the default',
        kind="bug",
        reason=(
            "the first batch's statistics, which have x's dtype, are selected beside the running ones by lax.select, which takes one dtype. Mode "
            '"batch" promotes, and gives float32.'
        ),
        observed=(
            'BatchNorm(3, "b", mode="ema") in training on float16 x: TypeError "lax.select requires arguments to have the same dtypes, got '
            'float32, float16"; in inference, and in mode "batch", a result.'
        ),
        reported=False,
        package="equinox",
        versions=">=0.13.8,<0.14",
    ),
    Known(
        title="Without a scale y's dtype depends on the mode",
        backends="equinox.batch",
        clauses=("dtype.results",),
        where=lambda case: is_half(case) and not all_half(case) and not case.config.affine,
        conditions="half-precision x by a layer of float32 with channelwise_affine=False",
        kind="bug",
        reason="in training x and its statistics have x's dtype, in inference the statistics are float32; y is their promotion, and is not cast.",
        observed='BatchNorm(3, "b", mode="batch", channelwise_affine=False) on float16 x: y is float16 in training, float32 in inference; with a scale float32 in both.',
        reported=False,
        package="equinox",
        versions=">=0.13.8,<0.14",
    ),
)
