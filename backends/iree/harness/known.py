"""Known deviations of IREE."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import off_centre
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
)
