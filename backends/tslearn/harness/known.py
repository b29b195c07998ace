"""Known deviations of tslearn."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import constant_feature

KNOWN: tuple[Known, ...] = (
    Known(
        title="The standard deviation of a constant feature is 1",
        backends="tslearn",
        clauses=("input.fit", "input.fit_is_stable", "input.chunks_do_not_matter", "input.merge_in_any_order"),
        where=constant_feature,
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
)
