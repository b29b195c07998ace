"""Known deviations of LiteRT."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Known
from bnspec.model.case import Case


def has_infinite_parameters(case: Case) -> bool:
    """gamma, beta or a running mean is infinite."""
    names = ("gamma", "beta", "running_mean")
    return any(
        bool(np.isinf(a.astype(np.float64)).any()) for n, a in case.arrays.items() if n.partition("|")[0] in names
    )


KNOWN: tuple[Known, ...] = (
    Known(
        title="Infinite parameters become the largest number",
        backends="litert",
        clauses=("special.parameters_are_not_hidden",),
        where=has_infinite_parameters,
        conditions="gamma, beta or a running mean that is infinite",
        kind="bug",
        reason="the product and the sum that the layer becomes clamp their results to the range of float32; NaN stays NaN.",
        observed="gamma 1, beta inf, mean 0, variance 1: y is 3.4028235e+38 for x 1, -2 and 0; Keras gives inf, as LiteRT does for an infinite x.",
        reported=False,
        package="ai_edge_litert",
        versions=">=2.3,<2.4",
    ),
)
