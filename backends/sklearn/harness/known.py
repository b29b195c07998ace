"""Known deviations of scikit-learn."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    has_constant_feature,
    has_missing,
    scales_half,
    squares_of_fit_overflow,
    tiny_spread,
)

KNOWN: tuple[Known, ...] = (
    Known(
        title="Statistics are rounded to x's dtype",
        backends="sklearn.[fpw]*",
        clauses=("dtype.half_is_as_exact_as_declared",),
        where=scales_half,
        conditions="transform or inverse of float16 x",
        kind="accuracy",
        reason=(
            "mean_ and scale_ are kept in float64, and cast to x's dtype before they are used; x - mean is formed in x's dtype, "
            "where it may overflow."
        ),
        observed=(
            "float16 -60000, 60000, -60000: -0.707, inf, -0.707, in float64 -0.707, 1.414, -0.707. In float32 the cast costs digits of "
            "a large mean: 10001.3, 10002.1, 10003.2 give -1.15573, -0.12911, 1.28359, and scale(), which does not cast, -1.15532, "
            "-0.12869, 1.28401, as exact."
        ),
        reported=False,
        link="https://github.com/scikit-learn/scikit-learn/pull/27113",
        search="The link is the change that made StandardScaler follow the array API.",
        package="sklearn",
        versions=">=1.9,<1.10",
    ),
    Known(
        title="scale computes in float16",
        backends="sklearn.scale",
        clauses=(
            "dtype.half_is_as_exact_as_declared",
            "input.transform",
            "input.constant_feature_is_finite",
        ),
        where=scales_half,
        conditions="float16 x",
        kind="bug",
        reason="the variance is formed in x's dtype, where it overflows beyond 65,504: the data are divided by infinity.",
        observed=(
            "scale of float16 1000, 3000, 5000: -0, 0, 0; StandardScaler gives -1.225, 0, 1.225. In the same way in float32: 1e20, "
            "2e20, 3e20 become -0, 0, 0."
        ),
        reported=False,
        link="https://github.com/scikit-learn/scikit-learn/issues/13007",
        search="The report is of the same in StandardScaler, where it was fixed.",
        package="sklearn",
        versions=">=1.9,<1.10",
    ),
    Known(
        title="scale leaves features of a small spread as they are",
        backends="sklearn.scale",
        clauses=("input.transform", "input.units_do_not_matter"),
        where=tiny_spread,
        conditions="a feature whose standard deviation is below 10 eps of x's dtype",
        kind="bug",
        reason="a standard deviation below 10 eps counts as 0, whatever the unit of the data; StandardScaler compares it with the mean.",
        observed=(
            "scale of 1e-16, 2e-16, 3e-16: -1e-16, 0, 1e-16; of float32 1e-7, 2e-7, 3e-7: -1e-7, 0, 1e-7. StandardScaler gives "
            "-1.225, 0, 1.225 for both."
        ),
        reported=False,
        link="https://github.com/scikit-learn/scikit-learn/issues/19726",
        search="The report is of the same threshold in StandardScaler, where it was replaced.",
        package="sklearn",
        versions=">=1.9,<1.10",
    ),
    Known(
        title="A chunk of missing values makes the mean NaN",
        backends="sklearn.[pcw]*",
        clauses=("input.missing_values_are_left_out",),
        where=has_missing,
        conditions="partial_fit of a chunk in which a feature is NaN throughout",
        kind="bug",
        reason="the mean of no values, NaN, is multiplied by its count of 0 in the next chunk, and stays.",
        observed="partial_fit of NaN, NaN and then of 1, 3: mean_ nan, var_ 1; fit of all four: mean_ 2, var_ 1.",
        reported=False,
        link="https://github.com/scikit-learn/scikit-learn/pull/11206",
        search="The link is the change since which NaN is left out.",
        package="sklearn",
        versions=">=1.9,<1.10",
    ),
    Known(
        title="Entries of one place are not added",
        backends="sklearn.csr.parts",
        clauses=(
            "input.chunks_do_not_matter",
            "input.empty_chunk_changes_nothing",
            "input.fit",
            "input.fit_is_stable",
            "input.merge_in_any_order",
            "input.missing_values_are_left_out",
            "dtype.integers_become_floating",
        ),
        where=lambda case: case.subject == "input_norm",
        conditions="a CSR or CSC matrix with several entries of one place, whose value is their sum",
        kind="bug",
        reason=(
            "the variance is summed over stored entries as if each were a value of its own, without an error, and may be negative; the "
            "mean, toarray and SciPy's own sums add them."
        ),
        observed=(
            "csr_matrix(([1, 2, 3, 4], [0, 0, 0, 0], [0, 2, 3, 4])), the column 3, 3, 4: mean_ 3.333, var_ -1.111, scale_ 1; of its "
            "toarray var_ 0.222. After sum_duplicates() right."
        ),
        reported=False,
        package="sklearn",
        versions=">=1.9,<1.10",
    ),
    Known(
        title="A variance that overflows counts as a constant's",
        backends="sklearn.*, !sklearn.scale, !sklearn.cs*",
        clauses=("special.overflow_is_not_finite",),
        where=squares_of_fit_overflow,
        conditions="float64 values beyond 1e154, whose squares overflow",
        kind="bug",
        reason="the infinite variance is not above the rounding error of a constant's, infinite too, and so the scale is 1: the data are centred and not scaled, without a warning.",
        observed="StandardScaler of 1e200, -1e200: var_ inf, scale_ 1, and 1e200, -1e200 as the result, of which the mean is 0 and the standard deviation 1e200.",
        link="https://github.com/scikit-learn/scikit-learn/issues/5602",
        reported=False,
        search="The report is of sums that overflow in partial_fit, where mean and variance do not.",
        package="sklearn",
        versions=">=1.9,<1.10",
    ),
    Known(
        title="Small weights make noise of a constant feature",
        backends="sklearn.weighted",
        clauses=("input.constant_feature_is_finite",),
        where=has_constant_feature,
        conditions="partial_fit of a constant feature with sample weights whose sum is far below the number of rows",
        kind="bug",
        reason="a variance counts as rounding noise below n eps var + (n mean eps)^2, and n is the sum of the weights there, not the number of rows that were added.",
        observed="rows of 1.1, five and then eleven, partial_fit with the sample weight 2^-20: var_ 5.6e-33, scale_ 7.5e-17, and 1.1 becomes 2.97; with the weight 1/2 scale_ is 1 and it becomes 2.2e-16.",
        link="https://github.com/scikit-learn/scikit-learn/issues/19450",
        reported=False,
        search="The report is of weighted constant features, from before there was a bound.",
        package="sklearn",
        versions=">=1.9,<1.10",
    ),
)
