"""Known deviations of Ray Data."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Known
from bnspec.model.case import Case


def spread_below_threshold(case: Case) -> bool:
    """A feature of a training set varies, with a standard deviation below 1e-8."""
    for step in case.steps:
        if step.call.kind == "fit":
            x = np.concatenate([case.arrays[n].astype(np.float64) for n in step.inputs])
            std = np.std(x, axis=case.config.reduce_axes) if x.size else np.zeros(1)
            if bool(((std > 0.0) & (std < 1e-8)).any()):
                return True
    return False


KNOWN: tuple[Known, ...] = (
    Known(
        title="A small spread counts as none",
        backends="ray.data",
        clauses=("input.transform", "input.units_do_not_matter", "input.unseen_data"),
        where=spread_below_threshold,
        conditions="a feature whose standard deviation is below 1e-8, and not 0",
        kind="bug",
        reason=(
            "a standard deviation below 1e-8 is replaced by 1, whatever the unit of the data, where the documentation speaks of s = 0 "
            "alone; scikit-learn, which the change refers to, compares it with the mean."
        ),
        observed="fit and transform of 1e-9, 2e-9, 3e-9: -1e-9, 0, 1e-9, expected -1.2247, 0, 1.2247.",
        reported=True,
        link="https://github.com/ray-project/ray/pull/60488",
        search="The link is the change that introduced the threshold, meant for columns that are almost constant.",
        package="ray",
        versions=">=2.60,<2.61",
    ),
)
