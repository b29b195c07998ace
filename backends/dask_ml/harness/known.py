"""Known deviations of dask-ml."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import many_large_values, sum_overflows

KNOWN: tuple[Known, ...] = (
    Known(
        title="Sums of many large values lose every digit",
        backends="dask_ml, dask_ml.numpy",
        clauses=("accuracy.keeps_a_digit", "input.fit_is_stable"),
        where=many_large_values,
        conditions="float32 x, 1,000 values or more each, count |mean| > 1e8 std",
        kind="accuracy",
        reason="the columns of a chunk are added row by row in float32.",
        observed="The suite's case, 20,011 rows: the fitted mean is -28746.07, exact -28750.01.",
        reported=True,
        link="https://github.com/scikit-learn/scikit-learn/issues/12333",
        search="The report is of the same sum in scikit-learn, which has added in float64 since.",
        package="dask_ml",
        versions=">=2025,<2026",
    ),
    Known(
        title="Sums of float16 overflow",
        backends="dask_ml, dask_ml.numpy",
        clauses=("input.constant_feature_is_finite",),
        where=sum_overflows,
        conditions="float16 x, the sum of a feature beyond 65,504",
        kind="accuracy",
        reason="columns are added in x's dtype: the mean is infinite, and the variance NaN.",
        observed="24 rows of 10,000 in float16: mean_ inf, var_ nan, and so is what it transforms to.",
        reported=False,
        link="https://github.com/scikit-learn/scikit-learn/issues/13007",
        search="The report is of the same in scikit-learn, which has added in float64 since.",
        package="dask_ml",
        versions=">=2025,<2026",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="dask_ml",
        clause="input.constant_feature_keeps_its_unit",
        note="a constant feature whose chunks are merged is divided by rounding noise.",
    ),
)
