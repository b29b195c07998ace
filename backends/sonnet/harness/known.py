"""Known deviations of Sonnet."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import (
    calls,
    decay_is_1_in_bfloat16,
    many_large_values,
    takes_integers,
    trains_on_nothing,
)
from bnspec.model.call import TRAINING_SECOND_ORDER, TRAINING_TANGENT_GRADIENT, TRAINING_THIRD_ORDER

KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty batch makes statistics NaN",
        backends="sonnet*",
        clauses=("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the averages, without an error.",
        observed="The suite's case: running_mean becomes nan.",
        link="https://github.com/google-deepmind/sonnet/issues/125",
        reported=True,
        package="sonnet",
        versions=">=2.0.2,<2.1",
    ),
    Known(
        title="The default decay in bfloat16 divides by 0",
        backends="sonnet",
        clauses=(
            "running.mean",
            "running.var",
            "running.moves_once_with_gradients",
            "training.finite",
            "dtype.half_is_as_exact_as_declared",
        ),
        where=decay_is_1_in_bfloat16,
        conditions="training in bfloat16 with a decay above 1 - 2^-9, as the default 0.999 is",
        kind="bug",
        reason="the average is divided by 1 - decay^steps in bfloat16, where decay is 1.",
        observed="BatchNorm(True, True) on bfloat16 [[1], [3]]: after one step both averages are inf, and y in inference is nan; in float32 they are 2 and 1.",
        reported=False,
        package="sonnet",
        versions=">=2.0.2,<2.1",
    ),
    Known(
        title="The second derivative lacks a term",
        backends="sonnet",
        clauses=("second_order.training", "second_order.gradient_of_the_tangent", "second_order.third_derivative"),
        where=calls(TRAINING_SECOND_ORDER, TRAINING_TANGENT_GRADIENT, TRAINING_THIRD_ORDER),
        conditions="second or third derivatives by x in training",
        kind="bug",
        reason="tf.nn.moments stops the gradient at the mean inside the variance: right for dx, wrong for derivatives of dx by x.",
        observed="The suite's case: by_x[0, 0] is 0.002025, expected 0.0000014.",
        link="https://github.com/tensorflow/tensorflow/pull/19609",
        reported=True,
        search="The link is the stop_gradient in TensorFlow, which holds for first derivatives only.",
        package="sonnet",
        versions=">=2.0.2,<2.1",
    ),
    Known(
        title="The fused third derivative lacks a term",
        backends="sonnet.fused",
        clauses=("second_order.third_derivative",),
        where=calls(TRAINING_THIRD_ORDER),
        conditions="third derivatives by x in training, along a direction whose mean is not 0",
        kind="bug",
        reason="TensorFlow's fused operation is right in first and second derivatives, and off by one number per channel in the third.",
        observed=(
            "BatchNorm(True, True, eps=1/16) on x (4, 5, 2, 3), three tapes: the third derivative is off by up to 0.0102 of 1.86, the second "
            "by 2e-7."
        ),
        reported=False,
        package="sonnet",
        versions=">=2.0.2,<2.1",
    ),
    Known(
        title="y of integers is an integer",
        backends="sonnet",
        clauses=("dtype.integers_become_floating",),
        where=takes_integers,
        conditions="inference on integers",
        kind="bug",
        reason="tf.nn.batch_normalization casts the scale and the shift to x's dtype before it multiplies.",
        observed="The suite's case: y of uint8 is uint8.",
        reported=False,
        link="https://github.com/tensorflow/tensorflow/issues/44983",
        search="The report is of the same in tf.image.per_image_standardization.",
        package="sonnet",
        versions=">=2.0.2,<2.1",
    ),
    Known(
        title="Sums row by row lose every digit",
        backends="sonnet*",
        clauses=("accuracy.keeps_a_digit",),
        where=many_large_values,
        conditions="float32, 1,000 values a channel or more, count |mean| > 1e8 std",
        kind="accuracy",
        reason="TensorFlow's means are float32 sums of one value after the other.",
        observed="20,011 rows around -28,750 of standard deviation 2.5: the moving mean is -28,746.19, exact -28,749.98.",
        link="https://github.com/tensorflow/tensorflow/issues/12387",
        reported=True,
        search="The report is of tf.reduce_mean against np.mean, the same sum.",
        package="sonnet",
        versions=">=2.0.2,<2.1",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="sonnet",
        clause="special.overflow_is_not_finite",
        note="squares that overflow make the variance infinite, and y beta.",
    ),
)
