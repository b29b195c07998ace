"""Known deviations of Keras' layer with ``synchronized=True``, on two replicas."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import off_centre, takes_mask

SYNCHRONIZED: tuple[Known, ...] = (
    Known(
        title="A mask turns synchronisation off",
        backends="keras.synchronized",
        clauses=(
            "mask.equals_compaction",
            "mask.counts_elements",
            "mask.gradients",
            # of an inference afterwards, by each replica's own statistics
            "affine.per_channel",
            "inference.output",
            "layout.axis",
            "layout.extents",
            "layout.strides",
        ),
        where=takes_mask,
        conditions="synchronized=True, and a mask, as a Masking layer before the layer makes it",
        kind="bug",
        reason=(
            "the moments of a batch with a mask are those of the replica's own rows: nothing is reduced over the replicas, and their "
            "moving statistics part."
        ),
        observed=(
            "Rows 1, 2, 5, 8 on two replicas, a mask of True alone, momentum 0: y is [-1, 1, -1, 1] and moving_mean 1.5 on one replica "
            "and 6.5 on the other; without a mask y is [-1.095, -0.730, 0.365, 1.461] and moving_mean 4 on both."
        ),
        reported=False,
        search="The argument came with [keras#18671](https://github.com/keras-team/keras/pull/18671).",
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="The synchronised variance cancels",
        backends="keras.synchronized",
        clauses=(
            "training.output_is_stable",
            "running.statistics_are_stable",
            "gradient.training_is_stable",
            "accuracy.keeps_a_digit",
            "dtype.half_is_as_exact_as_declared",
        ),
        where=off_centre,
        conditions="synchronized=True under a strategy, and a channel with |mean| > 8 std, or constant",
        kind="accuracy",
        reason=(
            "with synchronized=True keras.ops.moments computes E[x^2] - E[x]^2 from sums over the replicas; without it that was given up on "
            "TensorFlow for E[(x - E[x])^2]."
        ),
        observed=(
            "Of 1000, 1000.25, 999.75, 1000.5, epsilon 0, on two replicas: moving_variance is 0.0625 and y[1] 0.5, exact 0.078125 and "
            "0.4472; without synchronized=True 0.078125 and 0.4470."
        ),
        link="https://github.com/keras-team/keras/pull/18795",
        reported=False,
        search="The link is the fix for what is not synchronised.",
        package="keras",
        versions=">=3.15,<3.16",
    ),
)
