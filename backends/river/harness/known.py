"""Known deviations of river."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import has_empty_chunk, squares_of_fit_overflow, transforms_unfitted

KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty chunk makes statistics NaN",
        backends="river",
        clauses=("input.empty_chunk_changes_nothing",),
        where=has_empty_chunk,
        conditions="a chunk of the training set without rows",
        kind="bug",
        reason="learn_many takes the mean of no rows, 0/0, into the statistics, without an error.",
        observed="learn_many of 1, 2, 3 and then of an empty frame: mean and variance are nan.",
        reported=False,
        package="river",
        versions=">=0.26,<0.27",
    ),
    Known(
        title="The variance of a mini-batch cancels",
        backends="river",
        clauses=("input.fit_is_stable", "input.transform", "contract.accepts", "input.constant_feature_keeps_its_unit"),
        where=lambda case: case.subject == "input_norm",
        conditions="a feature whose mean is large beside its standard deviation, or constant",
        kind="accuracy",
        reason="learn_many computes E[x^2] - E[x]^2, which may be negative; transform_many then takes the root of a negative number and raises.",
        observed="learn_many of 1e8, 1e8 + 1, 1e8 + 2, 1e8 + 3: variance 2.0, exact 1.25, which learn_one gives. Of 0.1 three times: variance -1.7e-18, and transform_many raises \"float() argument must be a string or a real number, not 'complex'\".",
        reported=False,
        link="https://github.com/online-ml/river/pull/981",
        search="The report is of the same cancellation in another scaler.",
        package="river",
        versions=">=0.26,<0.27",
    ),
    Known(
        title="A transform before learning gives 0",
        backends="river*",
        clauses=("input.transform_needs_a_fit",),
        where=transforms_unfitted,
        conditions="a transform before any learn_many",
        kind="documented difference",
        reason="means and variances that are not learnt yet are 0, and a division by 0 is 0: transforming before learning is intended.",
        observed="The suite's case: transform_many of a new scaler raises nothing.",
        link="https://github.com/online-ml/river/discussions/1527",
        reported=True,
        package="river",
        versions=">=0.26,<0.27",
    ),
    Known(
        title="A variance that overflows leaves the data as they are",
        backends="river*",
        clauses=("special.overflow_is_not_finite",),
        where=squares_of_fit_overflow,
        conditions="float64 values beyond 1e154, whose squares overflow",
        kind="bug",
        reason="learn_many forms E[x^2] - E[x]^2 of infinities, and what is not above 0 is not divided by: the data are not scaled, without an error; by learn_one and transform_one they become 0.",
        observed="The suite's case, values around 1e181: transform_many leaves 4.1e+180 as it is.",
        reported=False,
        package="river",
        versions=">=0.26,<0.27",
    ),
    Known(
        title="learn_one computes in the numbers' dtype",
        backends="river.one",
        clauses=("dtype.half_is_as_exact_as_declared", "input.fit_is_stable"),
        where=lambda case: case.config.dtype != "float64",
        conditions="learn_one of NumPy's numbers of float32 or float16, as a row of an array has them",
        kind="accuracy",
        reason=(
            "mean and variance start as Python's numbers and take the dtype of what is added, where learn_many has float64: sums of squares "
            "overflow in float16, and each row rounds both."
        ),
        observed=(
            "2000, 1000, 2500 in float16: variance nan, in float32 388888.88, exact 388888.89; 1e8, 1e8 + 8, 1e8 + 16 in float32: variance 64, "
            "exact 42.67."
        ),
        reported=False,
        link="https://github.com/online-ml/river/issues/1313",
        search="The report is of learn_many, which has float64 always.",
        package="river",
        versions=">=0.26,<0.27",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="river.one",
        clause="input.constant_feature_keeps_its_unit",
        note="any value of a feature that was constant in training becomes 0; transform_many of the same scaler gives the difference.",
    ),
)
