"""Known deviations of MLX."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import (
    differentiates_state,
    has_other_channels_of_nothing,
    many_large_values,
    refuses,
    trains_on_nothing,
    trains_with_gradients,
)
from bnspec.backends.harness.known.recomputed import TWICE

KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty batch makes statistics NaN, or has no end",
        backends="mlx*",
        clauses=("degenerate.empty_batch", "degenerate.gradients_of_empty_batch", "contract.completes"),
        where=lambda case: trains_on_nothing(case) or has_other_channels_of_nothing(case),
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error; in some processes mlx.core.var of it loops without an end. One value per channel is refused.",
        observed="nn.BatchNorm(2) of zeros of shape (0, 2): both statistics are nan. mx.eval(mx.var(mx.array(np.empty((0, 1), 'float32')), axis=0)): two of six processes had not ended after 3 s.",
        reported=False,
        package="mlx",
        versions=">=0.32,<0.33",
    ),
    Known(
        title="Sums of many large values lose every digit",
        backends="mlx*",
        clauses=("accuracy.keeps_a_digit", "training.output_is_stable", "running.statistics_are_stable"),
        where=many_large_values,
        conditions="float32 x, 1,000 values or more each, count |mean| > 1e8 std",
        kind="accuracy",
        reason="the rows are added one after the other in float32.",
        observed="The suite's case, 20,011 rows: the running mean is -2875105, exact -2875000.",
        reported=False,
        package="mlx",
        versions=">=0.32,<0.33",
    ),
    Known(
        title="Other channels are broadcast",
        backends="mlx*",
        clauses=("contract.shapes", "errors.malformed_data", "errors.malformed_parameters"),
        where=refuses,
        conditions="an x of more channels by a layer of one, an x of one by a layer of more, and parameters of another shape that broadcast",
        kind="bug",
        reason=(
            "the module knows its num_features and does not compare them with x: what broadcasts is broadcast, and training keeps running "
            "statistics of the new extent."
        ),
        observed=(
            "nn.BatchNorm(1) in training on x of shape (4, 2): y of shape (4, 2), after which running_mean has shape (2,); nn.BatchNorm(2) on "
            "(4, 1): y of shape (4, 2). nn.BatchNorm(3) on (4, 2) raises ValueError."
        ),
        reported=False,
        package="mlx",
        versions=">=0.32,<0.33",
    ),
    Known(
        title="A checkpointed layer steps again in the backward pass",
        backends="mlx.checkpoint",
        clauses=TWICE,
        where=trains_with_gradients,
        conditions="a backward pass in training mode",
        kind="bug",
        reason="mlx.nn.utils.checkpoint calls the module once more in the backward pass, which moves the running statistics a second time.",
        observed=(
            "BatchNorm(2, momentum=0.5), x of mean 3 and 5: after mx.grad of a loss through checkpoint(layer) the running mean is 2.25 and "
            "3.75, expected 1.5 and 2.5."
        ),
        reported=False,
        package="mlx",
        versions=">=0.32,<0.33",
    ),
    Known(
        title="Gradients flow through the running statistics",
        backends="mlx",
        clauses=("gradient.none_through_the_running_update",),
        where=differentiates_state,
        conditions="a loss that reads the running statistics after the step",
        kind="bug",
        reason="the new statistics are functions of x, and their update is not cut out of the differentiation by mx.stop_gradient.",
        observed="BatchNorm(1, momentum=0.5), x [[1], [3]]: the gradient of the new running_mean by x is [0.25, 0.25].",
        reported=False,
        package="mlx",
        versions=">=0.32,<0.33",
    ),
    Known(
        title="unfreeze() of a model trains the running statistics",
        backends="mlx.unfrozen",
        clauses=(
            "dtype.half_is_as_exact_as_declared",
            "gradient.frozen_statistics",
            "gradient.linear_in_the_cotangent",
            "inference.keeps_state",
            "layout.axis",
            "layout.extents",
            "layout.strides",
            "special.channels_are_isolated",
            "state.snapshot_continues",
        ),
        where=lambda case: any(s.call.mode == "inference" and s.call.has_gradients for s in case.steps),
        conditions="freeze() and then unfreeze() of a model that holds the module, and a step of its optimizer with the module in eval()",
        kind="bug",
        reason=(
            "BatchNorm.unfreeze freezes running_mean and running_var again, so that they are always frozen, it says; unfreeze of a model "
            "goes through its modules without calling theirs, and both become trainable parameters."
        ),
        observed=(
            "nn.Sequential(nn.BatchNorm(1)) after freeze() and unfreeze(), in eval(), x [[2], [4]], loss the sum of y: after one step of SGD(0.5) "
            "running_mean is 1.0 and running_var 2.5, before 0 and 1."
        ),
        reported=False,
        link="https://github.com/ml-explore/mlx/pull/305",
        search="The link is the change that made them frozen parameters.",
        package="mlx",
        versions=">=0.32,<0.33",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="mlx",
        clause="special.overflow_is_not_finite",
        note="squares that overflow make the variance infinite, and y beta.",
    ),
)
