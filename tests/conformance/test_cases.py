"""Generation and shrinking of cases."""

from __future__ import annotations

import math
import subprocess
import sys

import hypothesis
import numpy as np
import pytest

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.layouts import LAYOUTS, lay_out
from bnspec.conformance.cases.shrinking import shrink
from bnspec.conformance.cases.strategies import BLOCK_ELEMENTS, cases, draw, forms, input_cases
from bnspec.conformance.cases.values import INPUT_TYPES
from bnspec.model.call import TRAINING_GRADIENTS
from bnspec.model.case import Case


def test_the_same_seed_gives_the_same_cases_in_another_process() -> None:
    """Whatever else is imported there."""
    program = (
        "{}; from bnspec.conformance.cases.effort import cases_of; print(','.join(c.id for c in cases_of('quick', 3)))"
    )
    said = [
        subprocess.run([sys.executable, "-c", program.format(first)], capture_output=True, text=True, check=True).stdout
        for first in ("pass", "import json, xml.dom, bnspec.conformance.selftest.catalogue.catalogue")
    ]
    assert said[0] == said[1]
    assert len(set(said[0].split(","))) > 100


def test_catalogue_cases_say_what_they_are_for_and_are_distinct() -> None:
    """A case without a purpose, or twice, has no place in the catalogue."""
    found = catalogue()
    assert all(c.origin["purpose"] for c in found)
    assert len({c.id for c in found}) == len(found)


def test_every_input_type_and_layout_is_in_the_catalogue() -> None:
    """So every run covers them."""
    plans = [c.origin["plan"] for c in catalogue() if "plan" in c.origin]
    assert {t.name for t in INPUT_TYPES} <= {p["x"] for p in plans} | {p.get("x2") for p in plans}
    assert set(LAYOUTS) <= {p.get("layout") for p in plans}


def test_drawn_extents_are_distinct_coincident_and_around_blocks() -> None:
    """Distinct extents show swapped axes, equal ones an axis that is guessed by its extent, large ones another kernel."""
    extents = [[n for n in form.shape if n != 1] for form in draw(forms(), 200, 9)]
    distinct = [e for e in extents if len(set(e)) == len(e)]
    assert len(distinct) > 80
    assert len(extents) - len(distinct) > 20
    assert sum(max(e, default=0) > 100 for e in extents) > 20
    assert max(math.prod(e) for e in extents) <= BLOCK_ELEMENTS


@pytest.mark.parametrize("form", [Form((2, 3), 1), Form((4, 5, 2, 3), 3), Form((4, 3, 5), 1, "bfloat16")])
def test_unaligned_arrays_stay_unaligned_in_a_worker(form: Form) -> None:
    """x and dy begin at an odd number of elements behind an address that is a multiple of 64."""
    arrays = Case.loads(batch_norm_case(Plan(form, "wide", seed=3, unaligned=True)).dumps()).arrays
    for name in ("x", "dy"):
        assert arrays[name].flags.c_contiguous
        assert arrays[name].ctypes.data // arrays[name].itemsize % 2 == 1


def test_an_alike_batch_has_the_sums_and_not_the_spread_of_the_first() -> None:
    """Shape, first value and sum of each channel agree, in whole numbers; the variance does not."""
    arrays = batch_norm_case(Plan(Form((4, 3, 5, 2), 1), "exact", "alike", seed=3)).arrays
    x, x2 = arrays["x"], arrays["x2"]
    assert x.shape == x2.shape
    assert np.array_equal(x[0, :, 0, 0], x2[0, :, 0, 0])
    assert np.array_equal(x.sum(axis=(0, 2, 3)), x2.sum(axis=(0, 2, 3)))
    assert (x2.var(axis=(0, 2, 3)) > x.var(axis=(0, 2, 3))).all()


@hypothesis.settings(max_examples=40, deadline=None, database=None)
@hypothesis.given(cases())
def test_a_drawn_case_survives_saving(case: Case) -> None:
    """Loaded again it has the same content, strides included."""
    again = Case.loads(case.dumps())
    assert again.id == case.id
    assert {n: a.strides for n, a in again.arrays.items()} == {n: a.strides for n, a in case.arrays.items()}


@pytest.mark.parametrize("layout", [x for x in LAYOUTS if x != "expanded"])
def test_a_layout_keeps_the_values(layout: str) -> None:
    """Only how they are reached differs."""
    array = np.arange(60.0).reshape(3, 4, 1, 5)  # the extent of 1 is what "loose" strides are loose at
    laid = lay_out(array, layout, 1)
    assert np.array_equal(laid, array)
    assert layout == "packed" or laid.strides != array.strides


def test_shrinking_reaches_a_small_plain_case() -> None:
    """A failure that needs one large value ends as two values, one channel, one call, packed and plain."""
    start = next(c for c in catalogue() if c.config.rank == 4 and c.origin["plan"]["layout"] == "sliced")

    def fails(case: Case) -> bool:
        last = case.steps[-1]
        return last.call == TRAINING_GRADIENTS and bool((np.abs(case.arrays[last.inputs[0]]) > 20).any())

    small = shrink(start, fails, seconds=20.0)
    assert fails(small)
    assert [s.call for s in small.steps] == [TRAINING_GRADIENTS]
    assert (small.config.channels, small.config.rank) == (1, 2)
    assert small.arrays[small.steps[0].inputs[0]].size == 1
    assert all(a.flags.c_contiguous for a in small.arrays.values())


def test_shrinking_stops_when_the_time_is_up() -> None:
    """The clock is asked; the case found so far is returned."""
    start = catalogue()[0]
    ticks = iter(range(10**6))
    assert shrink(start, lambda case: True, seconds=0.0, clock=lambda: float(next(ticks))).id == start.id


def test_input_cases_have_chunks_that_make_up_the_training_set() -> None:
    """Whatever the chunking, empty chunks included."""
    for case in draw(input_cases(), 30, 4):
        joined = np.concatenate([case.arrays[n] for n in case.steps[0].inputs])
        assert np.array_equal(joined, case.arrays["x"], equal_nan=True)
