"""Known deviations of IREE."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import many_large_values, off_centre, trains_on_nothing
from bnspec.model.case import Case


def epsilon_below_float16(case: Case) -> bool:
    """x is float16, and epsilon lies below its normal numbers and is none of the others."""
    epsilon = np.float32(case.config.epsilon)
    below = epsilon < np.finfo(np.float16).smallest_normal and np.float16(epsilon) != epsilon
    return case.config.dtype == "float16" and bool(below)


KNOWN: tuple[Known, ...] = (
    Known(
        title="The variance of batch_norm_training cancels",
        backends="iree",
        clauses=(
            "training.output_is_stable",
            "training.finite",
            "running.statistics_are_stable",
            "running.var_not_negative",
            "accuracy.keeps_a_digit",
            "dtype.half_is_as_exact_as_declared",
        ),
        where=off_centre,
        conditions="a channel with |mean| > 8 std, or constant",
        kind="accuracy",
        reason="the operation is expanded to E[x^2] - E[x]^2, which may be negative: then y is NaN; StableHLO's text centres first.",
        observed="1e4, 1e4 + 1, 1e4 + 2, 1e4 + 3: variance -2.25, exact 1.25, and y NaN; the one value -159.28604: variance -2.9e-5.",
        link="https://openxla.org/stablehlo/spec#batch_norm_training",
        reported=False,
        search="The link is the specification of the operation.",
        package="iree-base-compiler",
        versions=">=3.13,<3.14",
    ),
    Known(
        title="A float16 epsilon below 6.1e-5 is refused",
        backends="iree",
        clauses=("contract.accepts",),
        where=epsilon_below_float16,
        conditions="float16 x, and an epsilon below 2^-14 that is no number of float16",
        kind="bug",
        reason="epsilon, a float32 attribute, is converted to x's type, and an inexact subnormal ends the compilation.",
        observed=(
            "float16 x, epsilon 1e-5: \"failed to legalize operation 'stablehlo.batch_norm_inference'\"; epsilon 1e-4, 2^-15 or 2^-24: "
            "compiled; bfloat16 x, epsilon 1e-5: compiled, with a warning that it loses precision."
        ),
        reported=False,
        package="iree-base-compiler",
        versions=">=3.13,<3.14",
    ),
    Known(
        title="bfloat16 with float32 parameters is not compiled",
        backends="iree.onnx",
        clauses=("contract.accepts",),
        where=lambda case: case.config.dtype == "bfloat16" and case.config.parameter_dtype == "float32",
        conditions="bfloat16 x, and parameters and statistics in float32",
        kind="bug",
        reason="the types of ONNX's opset 15 may differ, and lowering leaves a cast from float32 to bfloat16 that nothing can convert.",
        observed=(
            'BatchNormalization of bfloat16 x with float32 parameters: "failed to legalize unresolved target materialization from '
            "('tensor<1x2xf32>') to ('tensor<1x2xbf16>')\"; float16 x: compiled."
        ),
        reported=False,
        package="iree-base-compiler",
        versions=">=3.13,<3.14",
    ),
    Known(
        title="An empty batch makes statistics NaN",
        backends="iree.onnx",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error.",
        observed="x of shape (0, 1), training_mode=1: both statistics are nan.",
        reported=False,
        package="iree-base-compiler",
        versions=">=3.13,<3.14",
    ),
    Known(
        title="Sums of many large values lose every digit",
        backends="iree.onnx",
        clauses=("accuracy.keeps_a_digit",),
        where=many_large_values,
        conditions="float32, 1,000 values a channel or more, count |mean| > 1e8 std",
        kind="accuracy",
        reason="values are added one after the other in float32.",
        observed="100,000 rows of mean 1e4 and standard deviation 1: running mean 9992.62 and variance 55.5, exact 10000.0 and 0.9947.",
        reported=False,
        package="iree-base-compiler",
        versions=">=3.13,<3.14",
    ),
)
