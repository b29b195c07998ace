"""The first oracle against the second: every family of inputs, every dtype, kappa from 0 to 1e12, counts from 2 to 10,000.

The default run compares more than 10,000 elements; ``make oracle`` (marker ``slow``) draws all of it again and larger.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from oracle_cases import COUNTS, extremes, families, ill_conditioned, large
from oracle_comparison import Comparison

from bnspec.model.buffers import dtype_of
from bnspec.model.conventions import CORRECTIONS, DTYPES, Conventions

WANTED = 10_000
LARGE_COUNT = 10_000


def report(comparison: Comparison, record_property: Callable[[str, object], None]) -> None:
    """Say how many elements were compared."""
    record_property("elements", comparison.elements)
    record_property("disagreements", len(comparison.disagreements))
    print(f"\n{comparison.elements} elements compared, {len(comparison.disagreements)} disagreements beyond one ulp")  # noqa: T201
    assert not comparison.disagreements, "\n".join(comparison.disagreements[:20])


def test_the_oracles_agree_on_every_family(record_property: Callable[[str, object], None]) -> None:
    """0 of more than 10,000 elements lie more than one unit in the last place of a double from the exact value."""
    comparison = Comparison()
    for source in (families(1, (4, 3, 5)), ill_conditioned(2, COUNTS), extremes(3), large(4, LARGE_COUNT // 10)):
        for label, case in source:
            comparison.compare(case, label)
    assert comparison.elements >= WANTED
    report(comparison, record_property)


def test_the_oracles_agree_where_the_normalising_variance_is_corrected(
    record_property: Callable[[str, object], None],
) -> None:
    """The same with the divisor count - 1 in the variance that normalises, in its gradient, and in either running variance."""
    comparison = Comparison()
    for running_correction in CORRECTIONS:
        conventions = Conventions(running_correction=running_correction, normalising_correction=1)
        for source in (families(5, (4, 3, 5)), ill_conditioned(6, COUNTS[:4]), extremes(7)):
            for label, case in source:
                comparison.compare(case, label, conventions)
    assert comparison.elements >= WANTED
    report(comparison, record_property)


@pytest.mark.slow
def test_the_oracles_agree_on_every_family_at_length(record_property: Callable[[str, object], None]) -> None:
    """The same with other seeds, more elements, and counts of 10,000."""
    comparison = Comparison()
    for source in (
        *(families(100 * s, shape) for s, shape in enumerate(((5, 4, 6), (2, 7), (3, 2, 5, 7)))),
        *(ill_conditioned(s, (*COUNTS, 3000)) for s in (12, 13)),
        extremes(14),
        large(15, LARGE_COUNT),
    ):
        for label, case in source:
            comparison.compare(case, label)
    report(comparison, record_property)


def test_every_dtype_is_compared() -> None:
    """The families that are compared come in every dtype of the specification."""
    assert {case.arrays["x"].dtype for _, case in families(0, (2, 3))} == {dtype_of(d) for d in DTYPES}
