"""Known deviations of TensorFlow."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import (
    calls,
    has_padding,
    is_half,
    many_large_values,
    off_centre,
    steps_before_backward,
    takes_integers,
    trains_on_nothing,
    trains_with_gradients,
)
from bnspec.backends.harness.known.recomputed import TWICE
from bnspec.model.call import (
    INFERENCE_TANGENT,
    TRAINING_SECOND_ORDER,
    TRAINING_TANGENT,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
)
from bnspec.model.case import Case

#: The largest number of float32.
FLOAT32_MAX = float(np.finfo(np.float32).max)


def cubes_overflow(case: Case) -> bool:
    """In some pass of float32 with gradients, the sum of dy times the square of what x spreads is beyond the range, or nearly."""
    passes = [
        [case.arrays[n].astype(np.float64) for n in s.inputs[:2]]
        for s in case.steps
        if s.call.has_gradients and not s.refused
    ]
    spreads = [(np.abs(dy).sum(), np.ptp(x)) for x, dy in passes if x.size and dy.size]
    return case.config.dtype == "float32" and any(dy * spread**2 > FLOAT32_MAX / 8.0 for dy, spread in spreads)


KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty batch makes statistics NaN",
        backends="tensorflow.fused",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="a batch without values",
        kind="documented difference",
        reason="the kernel returns NaN statistics for an empty batch on purpose, and they enter the running ones.",
        observed="The batch statistics are NaN, and enter the running ones.",
        link="https://github.com/tensorflow/tensorflow/issues/15264",
        reported=True,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="Sums of many large values lose every digit",
        backends="tensorflow.*, !tensorflow.folded",
        clauses=("accuracy.keeps_a_digit",),
        where=many_large_values,
        conditions="float32, 1,000 values a channel or more, count |mean| > 1e8 std",
        kind="accuracy",
        reason="means and variances are float32 sums whose errors grow with the count.",
        observed="20,011 rows around -28,750 of standard deviation 2.5: running mean -28,746.19, exact -28,749.98.",
        link="https://github.com/tensorflow/tensorflow/issues/12387",
        reported=True,
        search="The report is of tf.reduce_mean against np.mean, the same sum.",
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="The second derivative lacks a term",
        backends="tensorflow.[nsx]*, !tensorflow.nn.sufficient, !tensorflow.nn.recomputed",
        clauses=("second_order.training", "second_order.gradient_of_the_tangent", "second_order.third_derivative"),
        where=calls(TRAINING_SECOND_ORDER, TRAINING_TANGENT_GRADIENT, TRAINING_THIRD_ORDER),
        conditions="second or third derivatives by x in training",
        kind="bug",
        reason="tf.nn.moments stops the gradient at the mean inside the variance: right for dx, wrong for derivatives of dx by x.",
        observed=(
            "tensorflow.nn, 4 values, epsilon 0.1: [-1.3042, -0.8353, 0.4621, 1.9327], by central differences of "
            "dx [-1.3680, -0.8991, 0.3983, 1.8688]."
        ),
        link="https://github.com/tensorflow/tensorflow/pull/19609",
        reported=True,
        search="The link is the stop_gradient, which holds for first derivatives only.",
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="dgamma of an empty batch is NaN",
        backends="tensorflow.[nsx]*",
        clauses=("degenerate.gradients_of_empty_batch",),
        where=trains_on_nothing,
        conditions="a batch without values",
        kind="bug",
        reason="dgamma of an empty batch is NaN, where the sum over no elements is 0.",
        observed="dgamma is NaN, where the sum over nothing is 0.",
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="Padding reaches the moments",
        backends="tensorflow.[nsx]*, !tensorflow.nn.sufficient, !tensorflow.nn.recomputed",
        clauses=("mask.padding_may_be_anything",),
        where=has_padding,
        conditions="NaN in elements whose weight is 0",
        kind="documented difference",
        reason="tf.nn.weighted_moments multiplies by the weights, which it documents as positive: 0 times NaN is NaN.",
        observed="weighted_moments([1, 3, NaN], weights [1, 1, 0]) is NaN, NaN.",
        link="https://www.tensorflow.org/api_docs/python/tf/nn/weighted_moments",
        reported=True,
        search="Weights are documented as positive.",
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="XLA's variance cancels",
        backends="tensorflow.fused.xla",
        clauses=(
            "training.output_is_stable",
            "training.finite",
            "running.statistics_are_stable",
            "running.var_not_negative",
            "gradient.training_is_stable",
            "accuracy.keeps_a_digit",
            "dtype.half_is_as_exact_as_declared",
        ),
        where=off_centre,
        conditions="a channel with |mean| > 8 std, or constant",
        kind="accuracy",
        reason="XLA expands its batch normalization to E[x^2] - E[x]^2, which may be negative: then y is NaN.",
        observed="1000, 1000.25, 999.75, 1000.5: variance 0.0833, eager 0.1042 as exact; 7 values near 1e4: variance -16.1, y NaN.",
        link="https://github.com/tensorflow/tensorflow/issues/118701",
        reported=True,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="An empty batch makes XLA's statistics NaN",
        backends="tensorflow.fused.xla",
        clauses=("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"),
        where=trains_on_nothing,
        conditions="a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error.",
        observed="The suite's case: running mean and variance become NaN, and so does dgamma.",
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="Products of a vast dy and x overflow in dx",
        backends="tensorflow.fused.xla",
        clauses=("affine.per_channel", "gradient.training_dx", "gradient.training_is_stable", "layout.strides"),
        where=cubes_overflow,
        conditions="float32, x and dy so large that |dy| |x - mean|^2 is beyond 3e38, as of values near 1e15",
        kind="accuracy",
        reason="(x - mean) is multiplied by the sum of dy (x - mean) before the variance divides it.",
        observed="x = dy = -8.1e14, -2.0e15: dx is inf, expected -1.6e-37.",
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="A cotangent of another shape ends the process",
        backends="tensorflow.fused.xla",
        clauses=("contract.completes",),
        where=lambda case: any(s.refused for s in case.steps),
        conditions="dy of another shape than x, under jit_compile",
        kind="bug",
        reason="lowering the gradient to StableHLO multiplies arrays of two shapes, which may abort instead of raising.",
        observed="The suite's case, x (4, 5, 2, 3), dy (8, 5, 2, 3): SIGABRT; smaller programs raise, and eager refuses it.",
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="batch_normalization of integers is an integer",
        backends="tensorflow.nn, tensorflow.nn.sufficient",
        clauses=("dtype.integers_become_floating",),
        where=lambda case: takes_integers(case) and case.subject == "batch_norm",
        conditions="inference on integers",
        kind="bug",
        reason="tf.nn.batch_normalization casts the scale and the shift, mean subtracted, to x's dtype before it multiplies: both are cut.",
        observed=(
            "uint8 [60, 80, 100], mean 80, variance 266.7, both float32: 252 three times, in uint8; of the same numbers in float32 "
            "-1.225, 0, 1.225."
        ),
        reported=False,
        link="https://github.com/tensorflow/tensorflow/issues/44983",
        search="The report is of the same in tf.image.per_image_standardization.",
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="Moments of integers are integers",
        backends="tensorflow.nn",
        clauses=("dtype.integers_become_floating",),
        where=lambda case: takes_integers(case) and case.subject == "input_norm",
        conditions="a training set of int32 or int64",
        kind="bug",
        reason="tf.nn.moments forms the means in x's dtype, where they are cut, without an error; uint8 is refused.",
        observed="tf.nn.moments of int32 [[1], [2], [2]]: mean 1, variance 0, both int32; exact 1.667 and 0.222.",
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="The fused operation's third derivative lacks a term",
        backends="tensorflow.fused, tensorflow.fused.xla",
        clauses=("second_order.third_derivative",),
        where=calls(TRAINING_THIRD_ORDER),
        conditions="third derivatives by x in training, along a direction whose mean is not 0",
        kind="bug",
        reason="the third derivative is off by one number per channel, unless the direction's mean is 0; first and second derivatives are right.",
        observed=(
            "fused_batch_norm of 0, 1, 2, 4, epsilon 0.25, dy 1, 0, 0, -1, three tapes, the outer two along 1, 0, 0, 0: 0.15299, -0.01565, "
            "-0.02005, -0.04150, exact 0.13404, -0.03460, -0.03900, -0.06045."
        ),
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="A function loses the fused operation's tangent",
        backends="tensorflow.fused.xla",
        clauses=("contract.accepts",),
        where=calls(TRAINING_TANGENT, INFERENCE_TANGENT, TRAINING_TANGENT_GRADIENT),
        conditions="forward mode through a tf.function, compiled or not, around the fused operation",
        kind="bug",
        reason="tf.autodiff.ForwardAccumulator gives None for y of a function that contains FusedBatchNormV3, without an error; without the function it gives a tangent.",
        observed=(
            "x (4, 3, 3, 2), FusedBatchNormV3 in training: acc.jvp(y) is a tensor when called eagerly, and None when called in "
            "tf.function, with jit_compile and without; of x * x it is a tensor in both."
        ),
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="Sufficient statistics cancel",
        backends="tensorflow.nn.sufficient",
        clauses=(
            "accuracy.keeps_a_digit",
            "degenerate.constant_channel",
            "dtype.half_is_as_exact_as_declared",
            "gradient.training_is_stable",
            "running.statistics_are_stable",
            "running.var_not_negative",
            "training.finite",
            "training.output_is_stable",
        ),
        where=lambda case: off_centre(case) or is_half(case),
        conditions="a channel with |mean| > 8 std, or constant, or x in half precision; no shift",
        kind="documented difference",
        reason=(
            "tf.nn.normalize_moments of tf.nn.sufficient_statistics is E[x^2] - E[x]^2 in x's dtype, which may be negative; the documentation "
            "names a shift near the mean for stability."
        ),
        observed=(
            "1000, 999.75, 1000.25 in float32: variance 0, exact 0.0417; float16 300, 301, 302: variance nan, of tf.nn.moments 0.6665."
        ),
        link="https://www.tensorflow.org/api_docs/python/tf/nn/sufficient_statistics",
        reported=True,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="A recomputed layer steps again in the backward pass",
        backends="tensorflow.nn.recomputed",
        clauses=TWICE,
        where=trains_with_gradients,
        conditions="a backward pass in training mode",
        kind="bug",
        reason=(
            "tf.recompute_grad calls the function once more in the backward pass, and with it every assignment to a variable, such as that of "
            "a moving average; its documentation says nothing of it."
        ),
        observed=(
            "f(x) assigns m * 0.5 + mean(x) * 0.5 to m; x of mean 3: after a forward and a backward pass through tf.recompute_grad(f) m is "
            "2.25, after one through f 1.5."
        ),
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="A step before the backward pass changes a recomputed inference",
        backends="tensorflow.nn.recomputed",
        clauses=("gradient.of_its_own_forward_pass",),
        where=steps_before_backward,
        conditions="inference with gradients, then a training step, then the backward pass of the first",
        kind="bug",
        reason="tf.recompute_grad computes the forward pass from the variables as they are in the backward pass.",
        observed="The suite's case: dx is -0.408, expected -0.354 by the statistics of its own forward pass.",
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="per_image_standardization divides by at least 1 / sqrt(n)",
        backends="tensorflow.image",
        clauses=("input.transform", "input.units_do_not_matter", "accuracy.errors_are_unbiased"),
        where=lambda case: case.subject == "input_norm",
        conditions="an image of n values whose standard deviation is below 1 / sqrt(n), as of colours between 0 and 1 that hardly vary",
        kind="documented difference",
        reason="the function divides by max(std, 1 / sqrt(n)), whatever the unit of the data.",
        observed="[[0, 0.001], [0.002, 0.003]]: -0.003, -0.001, 0.001, 0.003; the same in thousandths of the unit -1.342, -0.447, 0.447, 1.342.",
        link="https://www.tensorflow.org/api_docs/python/tf/image/per_image_standardization",
        reported=True,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
    Known(
        title="A tangent through a function has no gradient",
        backends="tensorflow.saved_model",
        clauses=("contract.accepts",),
        where=calls(TRAINING_TANGENT_GRADIENT),
        conditions="a tape around a forward accumulator around a tf.function, loaded or not",
        kind="bug",
        reason="the tangent of a tf.function's result is right, and a tape around it finds no path to x: its gradient is None, without an error.",
        observed=(
            "f = tf.function(lambda x: 2 * x * x * x), v a direction: the gradient of the tangent is None, of f and of f saved and loaded; without "
            "tf.function it is 12 x v."
        ),
        reported=False,
        package="tensorflow",
        versions=">=2.21,<2.22",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="tensorflow.fused",
        clause="special.poisoned_state",
        note="poisoned statistics are replaced where the decay is 0, since a factor of 1 returns the batch's.",
    ),
)
