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
        backends="dask_ml*",
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
    Known(
        title="transform writes into its argument",
        backends="dask_ml.numpy",
        clauses=(
            "dtype.half_is_as_exact_as_declared",
            "input.chunks_do_not_matter",
            "input.constant_feature_is_finite",
            "input.fit",
            "input.fit_is_stable",
            "input.inverse",
            "input.keeps_statistics",
            "input.merge_in_any_order",
            "input.transform",
            "input.units_do_not_matter",
            "input.unseen_data",
            "purity.arguments",
            "purity.results_are_new",
            "purity.results_stay",
        ),
        where=lambda case: case.subject == "input_norm",
        conditions="transform or inverse_transform of a NumPy array or a pandas data frame, copy=True, the default",
        kind="bug",
        reason=(
            "both subtract, divide, multiply and add in place, and copy nothing, whatever copy is: the argument becomes the result. Dask's "
            "collections, which do not change, are safe."
        ),
        observed="fitted to a Dask array [[1], [3]]: x = np.array([[5.0]]), transform(x) is [[3.0]], and so is x from then on.",
        reported=False,
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
    Choice(
        backend="dask_ml.dataframe",
        clause="input.constant_feature_keeps_its_unit",
        note="a constant feature whose variance is rounding noise is divided by it: 0.1 becomes -1.",
    ),
    Choice(
        backend="dask_ml.numpy",
        clause="input.constant_feature_keeps_its_unit",
        note="a constant feature whose chunks are merged is divided by rounding noise.",
    ),
)
