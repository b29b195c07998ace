"""Known deviations of pyspark."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.model.case import Case


def fits_several_rows(case: Case) -> bool:
    """A training set has more than one value of a feature."""
    fits = [s for s in case.steps if s.call.kind == "fit"]
    return any(sum(case.arrays[n].size for n in s.inputs) > case.config.channels for s in fits)


KNOWN: tuple[Known, ...] = (
    Known(
        title="The standard deviation is that of a sample",
        backends="pyspark*",
        clauses=(
            "dtype.integers_become_floating",
            "input.chunks_do_not_matter",
            "input.empty_chunk_changes_nothing",
            "input.fit",
            "input.fit_is_stable",
            "input.merge_in_any_order",
        ),
        where=fits_several_rows,
        conditions="a training set of more than one row",
        kind="documented difference",
        reason="std is the corrected sample standard deviation, with the divisor n - 1, as the documentation says.",
        observed="fit of 1, 3: mean 2, std 1.4142; the population's is 1. Times (n - 1) / n, the variances are those of the definition.",
        reported=True,
        link="https://spark.apache.org/docs/latest/ml-features.html#standardscaler",
        package="pyspark",
        versions=">=4.3,<4.4",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="pyspark",
        clause="input.constant_feature_keeps_its_unit",
        note="a constant feature becomes 0, whatever its value is.",
    ),
)
