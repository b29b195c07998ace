"""The tests of error statistics on correct variants: how many there are, and how many raise an alarm."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import pdtri

from bnspec.backends.worker.execution import run_case
from bnspec.conformance.cases.many_channels import more_samples, samples
from bnspec.conformance.checks.error_statistics import Bias, biases, declined
from bnspec.conformance.checks.examination import Examination
from bnspec.conformance.selftest.catalogue.catalogue import CatalogueEntry
from bnspec.conformance.selftest.matrix.matrix import adapter_of
from bnspec.model.case import Case
from bnspec.oracle.oracle import Oracle

#: How often a mean may be beyond what is admitted by chance, to see that means are as far off as they should be.
ONCE_IN_A_HUNDRED = 0.01


@dataclasses.dataclass
class Count:
    """Tests and alarms.

    Attributes:
        distinct: tests whose mean and spread no other test of the same case has: variants that compute alike count once.
        beyond: of the distinct ones, how many exceed what is admitted by more than chance allows once in a hundred.
        closest: the largest ratio, and the variant and output it is of.
    """

    tests: int = 0
    alarms: int = 0
    distinct: int = 0
    beyond: int = 0
    closest: tuple[float, str] = (0.0, "nothing")

    @property
    def upper_limit(self) -> float:
        """The 95 % upper limit of the alarm rate of distinct tests, by the Poisson distribution: 3 / n where there is no alarm."""
        return float(pdtri(self.alarms, 0.05)) / max(self.distinct, 1)


def measured(variants: Sequence[CatalogueEntry], seeds: int) -> Iterator[tuple[int, Count]]:
    """The count after each seed, over every form and dtype of sample."""
    total = Count()
    for seed in range(seeds):
        first = 100_000 + 1000 * seed
        for case in (*samples(first), *more_samples(first + 500)):
            _count_case(total, [p for p in variants if p.applies_to(case) and not p.implementation.isolated], case)
        yield seed + 1, total


def _count_case(total: Count, variants: Sequence[CatalogueEntry], case: Case) -> None:
    """Count every test of every variant on a case."""
    oracle, seen = Oracle(case), set[tuple[str, Bias]]()
    for entry in variants:
        adapter = adapter_of(entry.name)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            exam = Examination(case, run_case(adapter, *case.header()), adapter.conventions, oracle)
            for i in range(len(case.steps)):
                if exam.result(i).status != "ok" or declined(exam, i):
                    continue
                for name in exam.expected(i):
                    for bias in biases(exam, i, name):
                        _count(
                            total,
                            bias,
                            f"{entry.name}, {name} of {case.origin['purpose']}",
                            (f"{i} {name}", bias) in seen,
                        )
                        seen.add((f"{i} {name}", bias))


def _count(total: Count, bias: Bias, what: str, again: bool) -> None:
    total.tests += 1
    total.closest = max(total.closest, (bias.ratio, what))
    if not again:
        total.distinct += 1
        total.alarms += bias.ratio > 1.0
        total.beyond += abs(bias.mean) > bias.admitted + bias.chance(ONCE_IN_A_HUNDRED)
