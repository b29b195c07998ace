"""Known deviations of tslearn."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import has_constant_feature

KNOWN: tuple[Known, ...] = (
    Known(
        title="The standard deviation of a constant feature is 1",
        backends="tslearn",
        clauses=("input.fit", "input.fit_is_stable", "input.chunks_do_not_matter", "input.merge_in_any_order"),
        where=has_constant_feature,
        conditions="a feature that is constant in the training set",
        kind="documented difference",
        reason="std_ is what data are divided by, 1 in place of 0, as its documentation says; there is no other record of the spread.",
        observed="fit of the series 5, 5, 5 with per_timeseries=False: mean_ 5, std_ 1.",
        reported=True,
        link="https://github.com/tslearn-team/tslearn/issues/52",
        search="The report is of the division by 0 before that; the answer is to take 1.",
        package="tslearn",
        versions=">=0.10,<0.11",
    ),
    Known(
        title="A constant feature is divided by rounding noise",
        backends="tslearn",
        clauses=("input.constant_feature_is_finite",),
        where=has_constant_feature,
        conditions="a constant feature of the training set whose mean is rounded",
        kind="bug",
        reason="a standard deviation of exactly 0 counts as 1, and what rounding leaves of it does not.",
        observed="TimeSeriesScalerMeanVariance of the series 0.1, 0.1, 0.1: std_ is 1.4e-17, and the result -1, -1, -1.",
        link="https://github.com/scikit-learn/scikit-learn/issues/17794",
        reported=False,
        search="The report is of the same in scikit-learn, where it was mended.",
        package="tslearn",
        versions=">=0.10,<0.11",
    ),
)
