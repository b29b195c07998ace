"""Known deviations of TensorFlow."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import calls, has_padding, trains_on_nothing
from bnspec.model.call import TRAINING_SECOND_ORDER

KNOWN: tuple[Known, ...] = (
    Known(
        "tensorflow.fused",
        ("degenerate.empty_batch",),
        trains_on_nothing,
        "a batch without values",
        "documented difference",
        "the kernel returns NaN statistics for an empty batch on purpose, and they enter the running ones.",
        "https://github.com/tensorflow/tensorflow/issues/15264",
        "tensorflow",
        ">=2.21,<2.22",
    ),
    Known(
        "tensorflow.[nx]*",
        ("second_order.training",),
        calls(TRAINING_SECOND_ORDER),
        "second derivatives by x in training",
        "bug",
        "tf.nn.moments stops the gradient at the mean inside the variance: right for dx, wrong for derivatives of dx by x.",
        "https://github.com/tensorflow/tensorflow/pull/19609",
        "tensorflow",
        ">=2.21,<2.22",
    ),
    Known(
        "tensorflow.[nx]*",
        ("degenerate.gradients_of_empty_batch",),
        trains_on_nothing,
        "a batch without values",
        "bug",
        "dgamma of an empty batch is NaN, where the sum over no elements is 0.",
        "",
        "tensorflow",
        ">=2.21,<2.22",
    ),
    Known(
        "tensorflow.[nx]*",
        ("mask.padding_may_be_anything",),
        has_padding,
        "NaN in elements whose weight is 0",
        "documented difference",
        "tf.nn.weighted_moments multiplies by the weights, which it documents as positive: 0 times NaN is NaN.",
        "https://www.tensorflow.org/api_docs/python/tf/nn/weighted_moments",
        "tensorflow",
        ">=2.21,<2.22",
    ),
)
