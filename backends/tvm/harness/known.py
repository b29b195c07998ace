"""Known deviations of TVM."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    all_half,
    differentiates_inference_of_nothing,
    many_large_values,
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
        backends="tvm*",
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
)
