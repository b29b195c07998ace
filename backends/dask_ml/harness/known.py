"""Known deviations of dask-ml."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import has_constant_feature, many_large_values, sum_overflows

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
    Known(
        title="Columns are taken by their place",
        backends="dask_ml.reordered",
        clauses=(
            "dtype.half_is_as_exact_as_declared",
            "input.constant_feature_is_finite",
            "input.inverse",
            "input.transform",
            "input.units_do_not_matter",
            "input.unseen_data",
        ),
        where=lambda case: case.subject == "input_norm" and case.config.channels > 1,
        conditions="a data frame with the columns of the training set in another order, two features or more",
        kind="bug",
        reason=(
            "transform and inverse_transform subtract mean_ and divide by scale_ by the columns' places, whatever their names are, and keep "
            "the names: a feature is scaled by another one's statistics. scikit-learn raises on such a frame."
        ),
        observed=(
            "fitted to a = 1, 2, 4 and b = 10, 20, 60: transform of the frame with b first gives a = -1.342, -1.296, -1.204, in order -1.069, "
            "-0.267, 1.336."
        ),
        reported=False,
        package="dask_ml",
        versions=">=2025,<2026",
    ),
    Known(
        title="A constant feature is divided by rounding noise",
        backends="dask_ml*",
        clauses=("input.constant_feature_is_finite",),
        where=has_constant_feature,
        conditions="a constant feature of the training set",
        kind="bug",
        reason=(
            "a standard deviation of exactly 0 counts as 1, and what rounding leaves of the variance does not: the training value becomes noise "
            "of size 1, and other values become as large as 1e16."
        ),
        observed="float64, 10 rows of 0.1 in chunks of 3: var_ 1.9e-34, scale_ 1.4e-17; scikit-learn has scale_ 1.",
        link="https://github.com/scikit-learn/scikit-learn/issues/19527",
        reported=False,
        search="The report is of the same in scikit-learn, where it was fixed.",
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
