"""Known deviations of MindSpore."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import (
    all_half,
    many_large_values,
    trains_on_nothing,
    trains_on_one_value,
    trains_with_gradients,
)
from bnspec.backends.harness.known.recomputed import TWICE
from bnspec.model.case import Case


def trains_in_half(case: Case) -> bool:
    """Everything is float16, and some pass is in training mode."""
    return all_half(case) and any(s.call.mode == "training" for s in case.steps)


def differentiates_inference_late(case: Case) -> bool:
    """A layer takes a step between a forward pass in inference and its backward pass."""
    return any(s.call.mode == "inference" and s.call.kind == "late_gradients" for s in case.steps)


#: The cells; the operation is asked of its statistics alone.
CELLS = "mindspore.nn, mindspore.recompute"

KNOWN: tuple[Known, ...] = (
    Known(
        title="Running statistics in float16 do not move",
        backends=CELLS,
        clauses=(
            "dtype.half_is_as_exact_as_declared",
            "epsilon.not_in_running_variance",
            "layout.axis",
            "layout.extents",
            "running.mean",
            "running.moves_once_with_gradients",
            "running.second_step_continues",
            "running.var",
        ),
        where=trains_in_half,
        conditions="training of a cell whose parameters and statistics are float16",
        kind="bug",
        reason="training computes y, and leaves the moving mean and variance as they are, without an error; with float32 ones they move.",
        observed=(
            "BatchNorm1d(2, momentum=0.5, dtype=float16) trained on [[1, 2], [3, 6]]: moving mean 0, 0 and variance 1, 1, expected 1, 2 "
            "and 1.5, 4.5, which dtype=float32 gives."
        ),
        reported=False,
        package="mindspore",
        versions=">=2.10,<2.11",
    ),
    Known(
        title="One value per channel makes the variance NaN",
        backends=CELLS,
        clauses=("degenerate.count_one",),
        where=trains_on_one_value,
        conditions="training on one value per channel",
        kind="bug",
        reason="the variance, 0, times n / (n - 1) is 0 times infinity.",
        observed="BatchNorm1d(2, momentum=0.5) of [[1, 2]]: y is 0, 0, the moving variance nan, nan.",
        reported=False,
        package="mindspore",
        versions=">=2.10,<2.11",
    ),
    Known(
        title="An empty batch moves the statistics by what is in memory",
        backends=CELLS,
        clauses=("training.repeatable", "degenerate.empty_batch"),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="no kernel computes a mean of no values, and the moving statistics take what their memory holds, without an error.",
        observed=(
            "BatchNorm1d(2, momentum=0.5) with moving mean 4, 4, after one that was trained on [[1, 2]], of zeros of shape (0, 2): moving "
            "mean 2.5, 3."
        ),
        reported=False,
        package="mindspore",
        versions=">=2.10,<2.11",
    ),
    Known(
        title="Gradients in inference follow a later step",
        backends=CELLS,
        clauses=("gradient.of_its_own_forward_pass",),
        where=differentiates_inference_late,
        conditions="a training step between a pass in inference and its gradients",
        kind="bug",
        reason="the backward pass in inference reads the moving statistics, which a training step has written over since.",
        observed=(
            "BatchNorm1d(1, eps=0.5, momentum=0.5) in inference, dy 1, 2, -1: dx is 0.816, 1.633, -0.816; after a training step on "
            "10, 20, 60 the same pullback gives 0.053, 0.107, -0.053."
        ),
        reported=False,
        package="mindspore",
        versions=">=2.10,<2.11",
    ),
    Known(
        title="Sums of many large values lose every digit",
        backends=CELLS,
        clauses=("accuracy.keeps_a_digit",),
        where=many_large_values,
        conditions="float32 x, 1,000 values or more each, count |mean| > 1e8 std, in training mode",
        kind="accuracy",
        reason="the values are added one after the other in float32.",
        observed="100,000 rows of mean 1e4 and standard deviation 1, momentum 0: moving mean 9992.58, exact 10000.00; moving variance 56.1, exact 1.00.",
        reported=False,
        package="mindspore",
        versions=">=2.10,<2.11",
    ),
    Known(
        title="A recomputed cell steps again in the backward pass",
        backends="mindspore.recompute",
        clauses=TWICE,
        where=trains_with_gradients,
        conditions="Cell.recompute, and a backward pass in training mode",
        kind="bug",
        reason="the cell is called once more in the backward pass, which moves the moving statistics a second time.",
        observed=(
            "BatchNorm1d(1, momentum=0.5) after recompute(), x [[2], [4]], PyNative mode: after the forward pass of mindspore.vjp "
            "moving_mean is 1.5, after the backward pass 2.25."
        ),
        reported=False,
        link="https://github.com/pytorch/pytorch/issues/96136",
        search="The report is of the same in PyTorch.",
        package="mindspore",
        versions=">=2.10,<2.11",
    ),
    Known(
        title="batch_mean and batch_variance are not written",
        backends="mindspore.ops.saved",
        clauses=(
            "accuracy.errors_are_unbiased",
            "accuracy.keeps_a_digit",
            "input.chunks_do_not_matter",
            "input.empty_chunk_changes_nothing",
            "input.fit",
            "input.fit_is_stable",
            "input.merge_in_any_order",
            "input.units_do_not_matter",
        ),
        where=lambda case: case.subject == "input_norm",
        conditions="the second and third output of the operation BatchNorm(is_training=True) on the CPU",
        kind="bug",
        reason=(
            "the documentation calls them the mean and the variance of the mini-batch; the kernel writes these into the fourth and "
            "fifth output, moves the statistics that it is given in place, and leaves in both outputs what was in memory."
        ),
        observed=(
            "ops.BatchNorm(is_training=True) of [[2], [4]]: batch_mean is 2 and batch_variance 0, in other calls 0 and 0; "
            "reserve_space_1 and reserve_space_2 are 3 and 1, which they should be."
        ),
        reported=False,
        package="mindspore",
        versions=">=2.10,<2.11",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="mindspore.nn",
        clause="special.overflow_is_not_finite",
        note="squares that overflow make the variance infinite, and y beta.",
    ),
)
