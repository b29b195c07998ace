"""Known deviations of ncnn."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Known
from bnspec.model.case import Case


def infers_empty_samples(case: Case) -> bool:
    """Samples without values."""
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.call.mode == "inference" and s.inputs]
    return any(len(x) and not x.size for x in batches)


def has_nan_variance(case: Case) -> bool:
    """Some running variance is NaN."""
    return any(n.startswith("running_var") and bool(np.isnan(a).any()) for n, a in case.arrays.items())


KNOWN: tuple[Known, ...] = (
    Known(
        title="A matrix without values ends the process",
        backends="ncnn*",
        clauses=("contract.completes",),
        where=infers_empty_samples,
        conditions="inference of samples without values",
        kind="bug",
        reason="in light mode, the default, a net reads the reference count of the input of a layer that works in place, and a matrix without values has none.",
        observed="x of shape (2, 3, 0): killed by SIGSEGV in extract. Any matrix over foreign memory ends the same way, unless it is cloned.",
        link="https://github.com/Tencent/ncnn/issues/1543",
        reported=True,
        package="ncnn",
        versions=">=1.0.20261020,<1.0.20270000",
    ),
    Known(
        title="A variance of NaN counts as 1e-8",
        backends="ncnn*",
        clauses=("special.parameters_are_not_hidden",),
        where=has_nan_variance,
        conditions="a running variance that is NaN",
        kind="bug",
        reason="a standard deviation of 0 is replaced by 0.0001 when the net is loaded, and so is one that is NaN.",
        observed="gamma 1, beta 3, mean 0, variance nan, epsilon 1, x 1: y is 10003. gamma, beta or a mean that is NaN makes y NaN.",
        reported=False,
        package="ncnn",
        versions=">=1.0.20261020,<1.0.20270000",
    ),
)
