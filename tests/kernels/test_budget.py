"""Which cases a kernel is asked: in an order in which those that are left out are missed least, as far as there is time."""

from __future__ import annotations

import math

import pytest
from kernels import few_cases

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.kernels.asked import SMALL, clauses_for, elements, in_order
from bnspec.conformance.kernels.blocks import SIZES, block_cases
from bnspec.conformance.kernels.budget import Budget
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions

OFFERED = Conventions(ranks=(4,), dtypes=("float32",), channel_axes="first")


def asked(budget: Budget, cases: list[Case], cost: float, each: float = 0.0) -> list[Case]:
    """The cases that a kernel is asked which takes so many seconds for an element, and for a case."""
    found = []
    for case in budget.within(cases, OFFERED):
        found.append(case)
        declined = OFFERED.dtypes != (case.config.dtype,)
        seconds = 0.0 if declined else each + cost * case.arrays["x"].size * len(case.steps)
        budget.took(case, seconds, seconds)
    return found


def planes(*positions: int) -> list[Case]:
    """Short cases of these extents."""
    return [batch_norm_case(Plan(Form((2, 3, 1, n), 1), seed=n, short=True)) for n in positions]


def test_a_fast_kernel_is_asked_everything() -> None:
    """Whatever is drawn."""
    cases = planes(3, 40, 1025, 4097)
    budget = Budget(25.0)
    assert asked(budget, cases, 1e-6) == cases
    assert budget.left_out == 0
    assert budget.largest == (2, 3, 1, 4097)


def test_what_would_take_too_long_is_left_out_and_counted_and_what_follows_is_asked() -> None:
    """A case of 4,097 positions takes 100 times as long as one of 40."""
    cases = planes(3, 40, 4097, 50)
    budget = Budget(25.0)
    assert asked(budget, cases, 0.01) == [cases[0], cases[1], cases[3]]
    assert budget.left_out == 1
    assert budget.spent < 25.0


def test_what_a_case_costs_is_never_taken_for_more_than_its_extents_allow() -> None:
    """A kernel whose time is that of its calls is asked large cases, too."""
    cases = planes(3, 40, 1025, 4097)
    assert asked(Budget(25.0), cases, 0.0, each=0.1) == cases


def test_once_the_time_is_over_nothing_is_asked() -> None:
    """Not even a case of no cost; those that are not offered take none."""
    others = few_cases("float64")
    cases = [*planes(3, 4, 5), *others]
    budget = Budget(1.0)
    assert asked(budget, cases, 0.0, each=2.0) == [cases[0], *others]
    assert budget.left_out == 2


def test_small_cases_come_first_then_those_around_blocks_and_none_twice() -> None:
    """Each clause is asked before a large case is."""
    small, large = few_cases(shapes=((3, 4, 5, 2),)), planes(300, 200)
    around = planes(1025)
    cases = in_order([*large, *small, *around], around, clauses_for(["training", "inference"]), OFFERED)
    sizes = [elements(c) for c in cases]
    assert sizes[0] <= SMALL
    place = cases.index(around[0])
    assert all(n <= SMALL for n in sizes[:place])
    assert sizes[-2:] == sorted(elements(c) for c in large)
    assert len({c.id for c in cases}) == len(cases) == len(small) + 3


def test_around_blocks_are_planes_channels_counts_and_batches_of_what_is_offered() -> None:
    """The first case of each size lies just above it."""
    for conventions in (OFFERED, Conventions(ranks=(2, 3, 5), dtypes=("float64",), channel_axes="last")):
        cases = list(block_cases(conventions, 3))
        assert all(
            not conventions.declines(c.dtype, c.parameter_dtype, c.rank, c.channel_axis, c.affine)
            for c in (case.config for case in cases)
        )
        extents = {math.prod(c.arrays["x"].shape) // c.config.channels // c.arrays["x"].shape[0] for c in cases[:8]}
        assert extents == {n + 1 for n in SIZES}
        for wanted in (n + d for n in SIZES for d in (-1, 0, 1)):
            assert any(c.config.channels == wanted for c in cases)
            assert any(c.arrays["x"].shape[0] == wanted for c in cases)
            assert any(math.prod(c.arrays["x"].shape) // c.config.channels % wanted == 0 for c in cases)
    assert {c.config.epsilon for c in block_cases(OFFERED, 3, 0.5)} == {0.5}


def test_what_is_likely_to_come_near_the_limit_of_a_case_is_left_out() -> None:
    """A worker that is ended at its limit would be taken for one that hangs."""
    cases = planes(3, 400, 30)
    assert asked(Budget(1000.0, 5.0), cases, 0.01) == [cases[0], cases[2]]


def test_a_case_that_is_declined_says_nothing_of_what_others_cost() -> None:
    """It takes no time, whatever its extents."""
    big = [batch_norm_case(Plan(Form((2, 3, 1, 4000), 1, "float64", "float64"), short=True))]
    cases = [*planes(3), *big, *planes(4097)]
    assert asked(Budget(25.0), cases, 0.01) == cases[:2]


def test_a_busy_machine_leaves_no_more_out_than_twice_the_time_does() -> None:
    """What waits takes time, too: a kernel that sleeps is not asked for ever."""
    cases = planes(*range(3, 60))
    for wall, cpu, expected in ((2.0, 2.0, 13), (4.0, 2.0, 13), (4.0, 0.0, 13), (2.0, 0.5, 25)):
        budget, count = Budget(25.0), 0
        for case in budget.within(cases, OFFERED):
            budget.took(case, wall, cpu)
            count += 1
        assert count == pytest.approx(expected, abs=2), (wall, cpu)
