"""Known deviations of mlxtend."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import has_constant_feature
from bnspec.model.case import Case


def transforms_constant(case: Case) -> bool:
    """A table that is transformed holds one value throughout some feature, as every single row does."""
    tables = [case.arrays[s.inputs[0]] for s in case.steps if s.call.kind == "transform" and not s.refused]
    return any(bool((np.ptp(x, axis=case.config.reduce_axes) == 0.0).any()) for x in tables if x.size)


KNOWN: tuple[Known, ...] = (
    Known(
        title="A single row is not scaled, and the parameters change",
        backends="mlxtend",
        clauses=("input.keeps_statistics", "input.transform"),
        where=transforms_constant,
        conditions="a call with params on data in which a feature is constant, such as a single row",
        kind="bug",
        reason=(
            "features that are constant in the data at hand get the standard deviation 1, whatever params says of the training set, and "
            "this 1 is written into the caller's params."
        ),
        observed=(
            "_, p = standardize([[1, 10], [3, 30], [5, 50]], return_params=True): standardize([[1, 10]], params=p) is -2, -20, expected "
            "-1.2247, -1.2247; p['stds'] is then 1, 1, no longer 1.633, 16.33, and the training set itself becomes -2, 0, 2."
        ),
        reported=False,
        link="https://github.com/rasbt/mlxtend/pull/1163",
        search="The link is the last change of these lines, for constant features of a training set.",
        package="mlxtend",
        versions=">=0.25,<0.26",
    ),
    Known(
        title="The standard deviation of a constant feature is 1",
        backends="mlxtend",
        clauses=("input.fit", "input.fit_is_stable", "input.chunks_do_not_matter", "input.merge_in_any_order"),
        where=has_constant_feature,
        conditions="a feature that is constant in the training set",
        kind="documented difference",
        reason="the documentation says that 'stds' is 1 for such a feature, to avoid a division by 0; there is no other record of the spread.",
        observed="return_params of 5, 5, 5: 'avgs' 5, 'stds' 1.",
        reported=True,
        link="https://rasbt.github.io/mlxtend/user_guide/preprocessing/standardize/",
        package="mlxtend",
        versions=">=0.25,<0.26",
    ),
)
