"""Known deviations of vaex."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import has_constant_feature, squares_of_fit_overflow
from bnspec.model.case import Case


def fits_off_centre(case: Case) -> bool:
    """A feature of a training set has |mean| > 8 std."""
    for step in case.steps:
        if step.call.kind == "fit":
            x = np.concatenate([case.arrays[n].astype(np.float64) for n in step.inputs])
            mean, std = (f(x, axis=case.config.reduce_axes) for f in (np.nanmean, np.nanstd)) if x.size else (0.0, 0.0)
            if bool((np.abs(mean) > 8.0 * np.asarray(std)).any()):
                return True
    return False


KNOWN: tuple[Known, ...] = (
    Known(
        title="The variance cancels",
        backends="vaex",
        clauses=("input.fit_is_stable",),
        where=fits_off_centre,
        conditions="a feature with |mean| > 8 std",
        kind="accuracy",
        reason="the variance is E[x^2] - E[x]^2, whose error grows with the square of |mean| / std.",
        observed="fit of 1e8, 1e8 + 1, 1e8 + 2, 1e8 + 3: std_ 1.4142, exact 1.1180.",
        reported=True,
        link="https://github.com/vaexio/vaex/issues/2291",
        search="The report is of the same sum, whose root became NaN; an answer calls the algorithm unstable.",
        package="vaex",
        versions=">=4.19,<4.20",
    ),
    Known(
        title="A constant feature is divided by 0",
        backends="vaex",
        clauses=("contract.accepts", "input.chunks_do_not_matter", "input.constant_feature_is_finite", "input.fit"),
        where=lambda case: has_constant_feature(case) or squares_of_fit_overflow(case),
        conditions="a feature that is constant in the training set, as in a single row, or whose squares overflow",
        kind="bug",
        reason=(
            "transform divides by the standard deviation, whatever it is: 0 makes 0/0, NaN, without an error; where the variance cancels "
            "to a negative number, the standard deviation itself is NaN, and the expression with it is refused."
        ),
        observed=(
            'fit of 7: std_ 0, and 7 becomes nan. Of 0.1, 0.1, 0.1: std_ nan, and transform raises NameError, "Column or variable '
            "'nan' does not exist\"."
        ),
        reported=True,
        link="https://github.com/vaexio/vaex/issues/2291",
        search="The report is of the standard deviation that is NaN.",
        package="vaex",
        versions=">=4.19,<4.20",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="vaex",
        clause="input.constant_feature_keeps_its_unit",
        note="a constant feature is divided by 0.",
    ),
)
