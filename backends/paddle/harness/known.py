"""Known deviations of PaddlePaddle."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    off_centre,
    steps_before_backward,
    trains_on_one_value,
    trains_with_gradients,
)
from bnspec.backends.harness.known.recomputed import TWICE
from bnspec.backends.paddle.harness.known_predictors import PREDICTORS

#: What is called as a layer; the others are predictors.
LAYERS = "paddle.*, !paddle.inference*, !paddle.folded*"

KNOWN: tuple[Known, ...] = (
    Known(
        title="One value per channel passes through",
        backends=LAYERS,
        clauses=(
            "affine.per_channel",
            "degenerate.gradients_of_count_one",
            "epsilon.inside_root_in_training",
            "epsilon.not_in_running_variance",
            "gradient.each_argument_alone",
            "gradient.null_space",
            "gradient.orthogonality",
            "gradient.training_dbeta",
            "gradient.training_dgamma",
            "gradient.training_dx",
            "gradient.training_is_stable",
            "running.decay_zero_replaces",
            "running.mean",
            "running.moves_once_with_gradients",
            "running.second_step_continues",
            "running.statistics_are_stable",
            "running.unrolled",
            "running.var",
            "training.output",
            "training.output_is_stable",
            "training.output_moments",
            "layout.axis",
        ),
        where=trains_on_one_value,
        conditions="training on one value per channel",
        kind="bug",
        reason="the kernel skips everything where a channel has one value: y is x, and not beta, and the statistics do not move.",
        observed="batch_norm of [[5, -3]], weight 2, bias 1, training: y is [[5, -3]], expected [[1, 1]]; running mean and variance stay 0 and 1.",
        reported=False,
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    Known(
        title="Running statistics of another length are taken",
        backends="paddle.functional",
        clauses=("errors.malformed_parameters",),
        where=lambda case: any(s.refused for s in case.steps),
        conditions="running_mean or running_var does not have one value per channel",
        kind="bug",
        reason="the length of the statistics is not compared with the channels.",
        observed="4 channels, statistics of length 8: the first four are updated, [1, 1.5, 2, 2.5, 0, 0, 0, 0].",
        reported=False,
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    Known(
        title="A cotangent of another shape is taken",
        backends=LAYERS,
        clauses=("errors.malformed_data",),
        where=lambda case: any(s.refused for s in case.steps),
        conditions="dy does not have the shape of x",
        kind="bug",
        reason="the backward kernel does not compare the shape of dy with that of x.",
        observed="x of shape (2, 3), paddle.grad with a cotangent of shape (4, 3): dx of shape (2, 3), and no error.",
        reported=False,
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    Known(
        title="y = x * scale + shift loses the digits of a large mean",
        backends=LAYERS,
        clauses=("training.output_is_stable", "gradient.training_is_stable", "accuracy.keeps_a_digit"),
        where=off_centre,
        conditions="a channel with |mean| > 8 std, or constant",
        kind="accuracy",
        reason="y is x * scale + (beta - mean * scale), a difference of large products.",
        observed="10000, 10001, 10002, 10003 in float32: y[0] is -1.34180, exact -1.34164.",
        reported=False,
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    Known(
        title="The gradient of weight without bias is None",
        backends=f"{LAYERS}, !paddle.recompute",
        clauses=("gradient.each_argument_alone",),
        where=lambda case: any(
            ("dgamma" in wanted) != ("dbeta" in wanted) for s in case.steps if (wanted := str(s.option("wanted", "")))
        ),
        conditions="paddle.grad by one of weight and bias, and not by the other",
        kind="bug",
        reason="the backward kernel computes the gradients of weight and bias together, and hands over neither where one is not asked for.",
        observed=(
            "BatchNorm2D(2), one of weight and bias with stop_gradient, x with and without: paddle.grad by the other gives None, without an "
            "error; by both it gives both."
        ),
        reported=False,
        link="https://github.com/PaddlePaddle/Paddle/pull/47634",
        search="The link is a change of 2022 by which both have to be trained, or neither; no error says so.",
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    Known(
        title="A step before the backward pass changes the gradients",
        backends=f"{LAYERS}, !paddle.recompute",
        clauses=("gradient.of_its_own_forward_pass",),
        where=steps_before_backward,
        conditions="inference with gradients, then a training step, then the backward pass of the first",
        kind="bug",
        reason="the running statistics are saved by reference, and the backward pass of an inference reads them after the step.",
        observed=(
            "BatchNorm1D(2, momentum=0), x [[1, 2], [3, 6], [5, 4]]: y of eval() has dx = 1; after a training step on 10 (x + 1) "
            "before the backward pass dx is 0.0612, without an error."
        ),
        reported=False,
        link="https://github.com/pytorch/pytorch/issues/13402",
        search="The report is of the same in PyTorch.",
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    Known(
        title="A recomputed layer steps again in the backward pass",
        backends="paddle.recompute",
        clauses=TWICE,
        where=trains_with_gradients,
        conditions="a backward pass in training mode",
        kind="bug",
        reason="recompute calls the module once more in the backward pass, which moves the running statistics a second time.",
        observed=(
            "BatchNorm1D(2, momentum=0.5), x of mean 3 and 5: after y = recompute(layer, x) the mean is 1.5 and 2.5, after "
            "y.sum().backward() 2.25 and 3.75."
        ),
        reported=False,
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    Known(
        title="use_global_stats=False trains in eval()",
        backends="paddle.batch",
        clauses=(
            "accuracy.errors_are_unbiased",
            "affine.absent_is_identity",
            "affine.per_channel",
            "affine.zero_gamma_gives_beta",
            "degenerate.constant_channel",
            "epsilon.as_given",
            "epsilon.inside_root_in_inference",
            "epsilon.only_the_sum_counts",
            "inference.bits_are_independent_of_batch",
            "inference.follows_training",
            "inference.keeps_state",
            "inference.output",
            "inference.value_is_independent_of_batch",
            "layout.axis",
            "layout.extents",
            "layout.joined_axes",
            "layout.strides",
            "running.initial_state",
            "running.mean",
            "running.second_step_continues",
            "running.unrolled",
            "running.var",
            "special.channels_are_isolated",
            "special.inference_keeps_special_values",
            "special.negative_variance_is_shown",
            "special.parameters_are_not_hidden",
            "state.copy_is_independent",
        ),
        where=lambda case: any(s.call.mode == "inference" for s in case.steps),
        conditions="eval(), or training=False, with use_global_stats=False",
        kind="documented difference",
        reason=(
            "use_global_stats=False asks for the statistics of the mini-batch in every mode, and overrides training: inference normalises by the "
            "batch, as documented, and moves the running statistics, of which the documentation says nothing."
        ),
        observed=(
            "BatchNorm1D(1, epsilon=0, use_global_stats=False).eval() on [[1], [3]]: -1 and 1, after which the running mean is 0.2; with "
            "use_global_stats=None 1 and 3, and the running mean stays 0."
        ),
        link="https://github.com/PaddlePaddle/Paddle/pull/74140",
        reported=True,
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    Known(
        title="The backward pass of use_global_stats=False in eval() is another one's",
        backends="paddle.batch",
        clauses=(
            "contract.accepts",
            "epsilon.inside_root_in_inference",
            "epsilon.only_the_sum_counts",
            "gradient.each_argument_alone",
            "gradient.inference_dx",
            "gradient.inference_parameters",
            "gradient.of_its_own_forward_pass",
            "layout.joined_axes",
            "second_order.inference",
        ),
        where=lambda case: any(s.call.mode == "inference" and s.call.has_gradients for s in case.steps),
        conditions="a backward pass in eval() with use_global_stats=False",
        kind="bug",
        reason=(
            "the forward pass normalises by the batch, the backward pass takes the statistics for constants, and the running ones for them, after "
            "they have moved; a second derivative raises."
        ),
        observed=(
            "BatchNorm1D(1, use_global_stats=False).eval() on [[1], [3], [5]], dy [[1], [0], [0]]: dx is 0.9258, 0, 0, by the running variance "
            "1.1667; y's derivative is 0.1021, -0.2041, 0.1021."
        ),
        reported=False,
        package="paddle",
        versions=">=3.3,<3.4",
    ),
    *PREDICTORS,
)
