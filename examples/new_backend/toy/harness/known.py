"""Known deviations of the toy framework."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import trains_on_nothing

KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty batch poisons the state",
        backends="toy",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean over no values is 0/0, and enters the running statistics.",
        observed="x of shape (0, 3): the running mean is [nan, nan, nan].",
        reported=True,
        link="https://example.org/toynorm/issues/1",
        package="toynorm",
        versions=">=1.0,<2",
    ),
)
