"""Known deviations of Flax."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    all_half,
    differentiates_state,
    has_misshapen,
    has_padding,
    is_float64,
    is_half,
    masks_everything,
    off_centre,
    takes_mask,
    trains_on_nothing,
)

KNOWN: tuple[Known, ...] = (
    Known(
        title="The fast variance cancels",
        backends="flax.*[!e]",
        clauses=(
            "training.output_is_stable",
            "running.statistics_are_stable",
            "gradient.training_is_stable",
            "accuracy.keeps_a_digit",
            "dtype.half_is_as_exact_as_declared",
        ),
        where=off_centre,
        conditions="a channel with |mean| > 8 std, or constant",
        kind="documented difference",
        reason="use_fast_variance, on by default, computes E[x^2] - E[x]^2, which its docstring calls less stable.",
        observed=("use_fast_variance, the default, of 1000, 1000.25, 999.75, 1000.5: y[1] is 0.49996, exact 0.44718."),
        link="https://github.com/google/flax/issues/1491",
        reported=True,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="An empty batch makes statistics NaN",
        backends="flax.*",
        clauses=("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"),
        where=trains_on_nothing,
        conditions="a batch without values",
        kind="bug",
        reason="training on an empty batch makes the running statistics and dgamma NaN, without an error.",
        observed="Running mean and variance become NaN, and so does dgamma.",
        link="https://github.com/google-deepmind/sonnet/issues/125",
        reported=True,
        search="The report is of the same in Sonnet.",
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="y keeps x's half precision",
        backends="flax.linen*, !flax.linen.dtype",
        clauses=("dtype.results",),
        where=lambda case: is_half(case) and not all_half(case) and not case.config.affine,
        conditions="half-precision x with float32 statistics, without scale and bias",
        kind="documented difference",
        reason="y's dtype is inferred from input and params, and there are no params: y is half although the statistics are float32.",
        observed="y is float16.",
        link="https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html#flax.linen.BatchNorm",
        reported=True,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="dx is summed from rounded paths",
        backends="flax.linen*",
        clauses=("dtype.half_is_as_exact_as_declared",),
        where=lambda case: is_half(case) and not all_half(case) and any(s.call.has_gradients for s in case.steps),
        conditions="gradients of half-precision x with float32 statistics",
        kind="accuracy",
        reason="dx is the sum of the paths through x and through its statistics, each rounded to x's dtype before it is added.",
        observed=(
            "120 bfloat16 values: dx is 0.00024414, exact 0.00021513, from the same x in float32 0.00021513; the "
            "error is up to 64 roundings of dx."
        ),
        reported=False,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="Padding reaches the gradients",
        backends="flax.*",
        clauses=("mask.padding_may_be_anything",),
        where=has_padding,
        conditions="NaN in elements that the mask leaves out, and gradients are asked for",
        kind="bug",
        reason="the forward pass leaves padding out, but the backward pass multiplies it by a cotangent of 0: gradients are NaN.",
        observed="The suite's case, flax.nnx: dx[0, 0, 0, 0] is NaN, expected -0.00278.",
        reported=False,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="Variables of any shape with C values pass",
        backends="flax.nnx*",
        clauses=("errors.malformed_parameters",),
        where=has_misshapen("gamma", "beta", "running_mean", "running_var", values=True),
        conditions="scale, bias, mean or var has one value per channel, and another shape than (C,)",
        kind="bug",
        reason="the module reshapes its variables, so it compares their number of values with the features, and not their shape.",
        observed=(
            "nnx.BatchNorm(3), scale of shape (3, 1, 1, 1), x (4, 3): y of shape (4, 3). With a mean of shape (1, 3) training "
            "stores a mean of shape (1, 3). A scale of shape (2,) is refused."
        ),
        reported=False,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="Batch statistics of other shapes are broadcast",
        backends="flax.linen*",
        clauses=("errors.malformed_parameters",),
        where=has_misshapen("running_mean", "running_var"),
        conditions="mean or var in batch_stats is not of shape (C,)",
        kind="bug",
        reason="apply compares the shapes of params with the features, and not those of batch_stats, which broadcast against x.",
        observed=(
            "BatchNorm with mean of shape (3, 1, 1, 1), x (2, 3), use_running_average=True: y has shape (1, 3, 1, 2, 3); with a "
            "mean of one value y is computed from it for all features. A scale of shape (3, 1, 1, 1) is refused."
        ),
        reported=False,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="Replicas with masks are averaged without weights",
        backends="flax.*.replicas",
        clauses=("mask.equals_compaction", "mask.counts_elements", "mask.gradients"),
        where=takes_mask,
        conditions="a mask that keeps different numbers of elements on the replicas",
        kind="bug",
        reason="each replica divides by the elements that its mask keeps, and the means are averaged as if these were equally many.",
        observed=(
            "nnx, momentum 0: of 1, 3 on one device and 8 and a padded 0 on the other the mean is 5, expected 4; where a mask leaves one "
            "device nothing, the mean, the variance and y are NaN on both. linen, the suite's case: y[3, 2, 0, 1] is -1.00414, expected "
            "-1.32351."
        ),
        link="https://github.com/google/flax/issues/2417",
        reported=True,
        search="The report is of the unweighted mean over devices.",
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="A mask that keeps nothing makes statistics NaN",
        backends="flax.*",
        clauses=("degenerate.empty_batch",),
        where=masks_everything,
        conditions="training with a mask that keeps no element",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error.",
        observed="Two values, mask False for both: mean and var become nan, of linen and of nnx.",
        reported=False,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="dtype narrows the running statistics",
        backends="flax.nnx.dtype",
        clauses=(
            "dtype.half_is_as_exact_as_declared",
            "affine.per_channel",
            "dtype.parameters_are_not_narrowed",
            "gradient.inference_dx",
            "gradient.inference_parameters",
            "inference.output",
            "inference.value_is_independent_of_batch",
            "layout.axis",
            "layout.extents",
        ),
        where=is_half,
        conditions="dtype is a half precision",
        kind="bug",
        reason=(
            "dtype, documented as that of the result, is also that of the running statistics and of the arithmetic: a running "
            "variance beyond 65,504 is infinite in float16. In linen it is the result's."
        ),
        observed=(
            "dtype float16, mean 1000.3, var 1e6, inference of 1001 and 1003: nnx.BatchNorm gives 0 and 0, linen.BatchNorm 0.0007 "
            "and 0.0027."
        ),
        reported=False,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="Gradients flow through the running statistics",
        backends="flax.linen*",
        clauses=("gradient.none_through_the_running_update",),
        where=differentiates_state,
        conditions="a loss that reads the running statistics after the step, by JAX's differentiation",
        kind="bug",
        reason="the new batch_stats are functions of x, and their update is not cut out of the differentiation; nnx cuts it.",
        observed=(
            "momentum 0.5, x [[1], [3]]: the gradient of the new mean by x is [0.25, 0.25]; of nnx.BatchNorm's mean [0, 0]."
        ),
        reported=False,
        package="flax",
        versions=">=0.12,<0.13",
    ),
    Known(
        title="A new layer's statistics become float64",
        backends="flax.linen*, !flax.linen.replicas",
        clauses=("dtype.results",),
        where=lambda case: is_float64(case) and any(s.option("initial") for s in case.steps),
        conditions="float64 x, the module's own batch_stats",
        kind="bug",
        reason="init makes the running statistics float32, whatever param_dtype is, and a step in float64 leaves them in float64.",
        observed="param_dtype float64 or float32, x (3, 2) in float64: mean is float32 after init and float64 after a step.",
        reported=False,
        package="flax",
        versions=">=0.12,<0.13",
    ),
)
