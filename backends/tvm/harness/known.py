"""Known deviations of TVM."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    all_half,
    differentiates_inference_of_nothing,
    many_large_values,
    scales,
    trains_on_nothing,
)
from bnspec.model.case import Case

#: All clauses that a reversed momentum shows in.
REVERSED = (
    "accuracy.errors_are_unbiased",
    "accuracy.keeps_a_digit",
    "dtype.half_is_as_exact_as_declared",
    "epsilon.not_in_running_variance",
    "layout.axis",
    "layout.extents",
    "layout.strides",
    "running.decay_one_keeps",
    "running.decay_zero_replaces",
    "running.mean",
    "running.new_decay_takes_effect",
    "running.second_step_continues",
    "running.statistics_are_stable",
    "running.unrolled",
    "running.var",
    "special.channels_are_isolated",
)

#: All clauses that a wrongly folded layer may show in.
MISFOLDED = (
    "affine.absent_is_identity",
    "affine.per_channel",
    "contract.accepts",
    "contract.shapes",
    "epsilon.as_given",
    "epsilon.inside_root_in_inference",
    "inference.output",
    "inference.value_is_independent_of_batch",
    "layout.axis",
    "layout.extents",
)


def folds_channels_last(case: Case) -> bool:
    """Some image has several channels, which come last."""
    axes = [dict(case.overrides(k)).get("channel_axis", case.config.channel_axis) for k in range(len(case.steps))]
    return case.config.channels > 1 and case.config.rank - 1 in axes


def averages_unevenly(case: Case) -> bool:
    """A layer is trained with a momentum that is not one half, which alone means the same both ways."""
    decays = [case.config.decay, *(float(s.option("decay")) for s in case.steps if s.call.kind == "set_decay")]
    return any(s.call.mode == "training" for s in case.steps) and any(decay != 0.5 for decay in decays)


def half_after_training(case: Case) -> bool:
    """Everything is in half precision, and a layer is called after it was trained."""
    return all_half(case) and len(case.steps) > 1 and any(s.call.mode == "training" for s in case.steps)


KNOWN: tuple[Known, ...] = (
    Known(
        title="The ONNX node's momentum is reversed",
        backends="tvm.onnx",
        clauses=REVERSED,
        where=averages_unevenly,
        conditions="training_mode=1 and a momentum that is not 0.5",
        kind="bug",
        reason="the frontend hands ONNX's momentum, the weight of the old statistics, to an operator whose momentum weighs the new ones.",
        observed=(
            "x [[1], [3], [5]], statistics 1 and 4, momentum 0.9, training_mode=1: running mean 2.8 and variance 2.8; "
            "by the operator's text, and by onnx's reference evaluator, 1.2 and 3.8667."
        ),
        link="https://github.com/apache/tvm/pull/18704",
        reported=False,
        search="The link is the change that hands momentum over.",
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="Results in half precision are float32",
        backends="tvm, tvm.onnx",
        clauses=("dtype.results",),
        where=all_half,
        conditions="x, parameters and statistics in float16 or bfloat16",
        kind="bug",
        reason="legalization adds epsilon as a float32 number, so the function returns float32 tensors where its own type says half precision.",
        observed=(
            "relax.op.nn.batch_norm of float16, compiled: y is float32, in training the statistics, too; "
            "decomposed by DecomposeOpsForInference first: float16."
        ),
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="Its own statistics in half precision are refused",
        backends="tvm",
        clauses=("contract.accepts",),
        where=half_after_training,
        conditions="x, parameters and statistics in float16 or bfloat16, in a call after training",
        kind="bug",
        reason="the statistics that training returns are float32, and the function takes those of its type alone.",
        observed='The suite\'s case: "expect Tensor with dtype float16 but get float32".',
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="An empty batch makes statistics NaN",
        backends="tvm, tvm.onnx",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="training on a batch without values, where the extents of x are open",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error; of extents that are known compilation fails.",
        observed='x of shape (0, 1), compiled for (n, 1): both statistics are nan; compiled for (0, 1): InternalError "Divide by zero".',
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="Sums of many large values lose every digit",
        backends="tvm, tvm.decomposed, tvm.onnx",
        clauses=("accuracy.keeps_a_digit",),
        where=many_large_values,
        conditions="float32, 1,000 values a channel or more, count |mean| > 1e8 std",
        kind="accuracy",
        reason="values are added one after the other in float32.",
        observed="100,000 rows of mean 1e4 and standard deviation 1: running mean 9992.62 and variance 55.5, exact 10000.0 and 0.9947.",
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="Gradients of an empty batch are not computed",
        backends="tvm.decomposed",
        clauses=("degenerate.gradients_of_empty_batch",),
        where=differentiates_inference_of_nothing,
        conditions="gradients in inference of a batch without values, whose extents are known",
        kind="bug",
        reason="collapse_sum_to of no rows is lowered to a loop that never runs, nor starts its sum at 0: dgamma and dbeta are what the memory held.",
        observed="x of shape (0, 1): dbeta is -8.9e14, dgamma -6.3e14; called again, 0 and 1.000005.",
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="Folding takes the second axis for the channels",
        backends="tvm.folded",
        clauses=MISFOLDED,
        where=folds_channels_last,
        conditions='a conv2d with data_layout="NHWC" and several channels, under FoldBatchnormToConv2D',
        kind="bug",
        reason="the pass adds its bias in the shape (1, C, 1, 1), whatever the data layout and the operator's axis are.",
        observed=(
            "1 by 1 convolution by the identity, x 0, 1, 2, 3 of shape (1, 2, 1, 2), batch_norm with axis 3, beta 0 and 100, else the identity: "
            "0, 101, 2, 103; folded 0, 1, 102, 103; with a height of 1 y gets another shape, and with one that is neither 1 nor C the pass raises."
        ),
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="Folding ignores center and scale",
        backends="tvm.folded",
        clauses=MISFOLDED,
        where=lambda case: not case.config.affine,
        conditions="center=False or scale=False, under FoldBatchnormToConv2D",
        kind="bug",
        reason="the pass reads epsilon of the operator's attributes alone, and uses the arrays that center=False and scale=False leave out.",
        observed=(
            "1 by 1 convolution by 1, x 3 and 5, gamma 2, beta 7, mean 1, variance 4, epsilon 0, center=False, scale=False: 1 and 2; folded 9 "
            "and 11; training=True, too, is folded as inference."
        ),
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="Folding is for float32 alone",
        backends="tvm.folded",
        clauses=("contract.accepts",),
        where=lambda case: case.config.dtype != "float32",
        conditions="float16 or float64, under FoldBatchnormToConv2D",
        kind="bug",
        reason="the pass adds epsilon as a float32 number, whose sum with a variance of another type is refused.",
        observed='float64: TypeError, "Binary operators must have the same datatype for both operands"; float32 is folded.',
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
    Known(
        title="Folding makes an inference of a training step",
        backends="tvm.folded.training",
        clauses=("input.transform", "input.constant_feature_is_finite"),
        where=scales,
        conditions="FoldBatchnormToConv2D over a conv2d and a batch_norm with training=True",
        kind="bug",
        reason="the pass does not look at training: the running statistics are folded into the weights in place of the batch's.",
        observed=(
            "conv2d by the identity of x [[1, 2], [3, 6]] of shape (2, 2, 1, 1), and batch_norm with training=True, running mean 3, variance 4, "
            "epsilon 0.001: [[-1, -1], [1, 1]] before the pass, [[-1, -0.5], [0, 1.5]] after it."
        ),
        reported=False,
        package="apache-tvm",
        versions=">=0.27,<0.28",
    ),
)
