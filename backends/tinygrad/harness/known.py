"""Known deviations of tinygrad."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import (
    all_half,
    is_half,
    many_large_values,
    trains_on_nothing,
    trains_on_one_value,
)
from bnspec.model.case import Case


def differentiates_training_twice(case: Case) -> bool:
    """Some second derivative in training mode."""
    return any(s.call.mode == "training" and s.call.kind == "second_order" for s in case.steps)


def differentiates_inference_late(case: Case) -> bool:
    """A layer takes a step between a forward pass in inference and its backward pass."""
    return any(s.call.mode == "inference" and s.call.kind == "late_gradients" for s in case.steps)


KNOWN: tuple[Known, ...] = (
    Known(
        title="What was called before a training step is computed after it",
        backends="tinygrad",
        clauses=("gradient.of_its_own_forward_pass",),
        where=differentiates_inference_late,
        conditions="inference whose results are computed after a training step",
        kind="bug",
        reason="a call in inference reads the statistics when its results are computed, and a step in between has assigned new ones to the same buffers.",
        observed=(
            "BatchNorm(1, eps=0, momentum=0.5, affine=False) in inference of 2, 4 gives 2, 4; with a training step on 10, 20 between the "
            "call and y.numpy() it gives -1.089, -0.693."
        ),
        link="https://github.com/tinygrad/tinygrad/issues/17074",
        reported=True,
        package="tinygrad",
        versions=">=0.14,<0.15",
    ),
    Known(
        title="Second derivatives leave out the mean in the variance",
        backends="tinygrad",
        clauses=("second_order.training",),
        where=differentiates_training_twice,
        conditions="second derivatives in training mode",
        kind="bug",
        reason="calc_stats detaches the mean within the variance, as the derivative of the variance by it is 0; the second derivative is 2.",
        observed=(
            "float64 x 1, 2, 4, epsilon 0.5, dy 1, 2, -1: the gradient by x of dx weighed by 1, -1, 0.5 is 0.0997, -0.4699, 0.5776; "
            "by differences of dx it is 0.0306, -0.5390, 0.5085."
        ),
        reported=False,
        package="tinygrad",
        versions=">=0.14,<0.15",
    ),
    Known(
        title="An empty batch makes statistics NaN",
        backends="tinygrad",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error. One value per channel raises ZeroDivisionError.",
        observed="BatchNorm(2) of zeros of shape (0, 2): both statistics are nan.",
        reported=False,
        package="tinygrad",
        versions=">=0.14,<0.15",
    ),
    Known(
        title="One value per channel moves the mean and then raises",
        backends="tinygrad",
        clauses=("errors.leave_the_state",),
        where=trains_on_one_value,
        conditions="training on one value per channel",
        kind="bug",
        reason="the running mean is assigned before the factor n / (n - 1) of the running variance divides by zero.",
        observed="BatchNorm(2) of [[1, 2]]: ZeroDivisionError, and the running mean is 0.1, 0.2; it was 0, 0.",
        reported=False,
        package="tinygrad",
        versions=">=0.14,<0.15",
    ),
    Known(
        title="y keeps x's half precision",
        backends="tinygrad",
        clauses=("dtype.results",),
        where=lambda case: is_half(case) and not all_half(case) and not case.config.affine,
        conditions="half-precision x with float32 statistics, without gamma and beta",
        kind="documented difference",
        reason="y has the promotion of what enters it: in training that is x alone, in inference the float32 statistics, too.",
        observed="BatchNorm(1, affine=False) of float16 1, 3: y is half in training and float in inference.",
        reported=False,
        package="tinygrad",
        versions=">=0.14,<0.15",
    ),
    Known(
        title="Sums of many large values lose every digit",
        backends="tinygrad",
        clauses=("accuracy.keeps_a_digit",),
        where=many_large_values,
        conditions="float32 x, 1,000 values or more each, count |mean| > 1e8 std",
        kind="accuracy",
        reason="the values are added one after the other in float32.",
        observed="The suite's case, 5,003 rows: the running mean is 322186.1, exact 322202.",
        reported=False,
        package="tinygrad",
        versions=">=0.14,<0.15",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="tinygrad",
        clause="special.overflow_is_not_finite",
        note="squares that overflow make the variance infinite, and y beta.",
    ),
    Choice(
        backend="tinygrad",
        clause="special.poisoned_state",
        note="with momentum 1 the product of 0 and the old statistics is left out, so NaN in them goes; otherwise it stays.",
    ),
)
