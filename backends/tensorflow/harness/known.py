"""Known deviations of TensorFlow."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import calls, has_padding, many_large_values, trains_on_nothing
from bnspec.model.call import TRAINING_SECOND_ORDER

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
        backends="tensorflow.*",
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
        backends="tensorflow.[nx]*",
        clauses=("second_order.training",),
        where=calls(TRAINING_SECOND_ORDER),
        conditions="second derivatives by x in training",
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
        backends="tensorflow.[nx]*",
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
        backends="tensorflow.[nx]*",
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
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="tensorflow.fused",
        clause="special.poisoned_state",
        note="poisoned statistics are replaced where the decay is 0, since a factor of 1 returns the batch's.",
    ),
)
