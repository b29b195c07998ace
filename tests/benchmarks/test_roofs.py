"""Roofs: bandwidth against size, and a plain copy, timed as layers are, that comes out at it."""

from __future__ import annotations

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.worker.memory_bandwidth import SIZES
from bnspec.benchmarks.timing.bandwidth import COPIES_BYTES, COPY, LARGEST, LEAST, MOST_SIZES, records_of, sizes_of
from bnspec.benchmarks.workloads.suites import SUITES
from bnspec.model.timing import Bandwidth
from bnspec.reports.run.codec import decode, encode
from bnspec.reports.run.records import Roof, Timing
from bnspec.reports.summary.bandwidth import Ceiling, best


@pytest.fixture(scope="module")
def answer() -> Bandwidth:
    """What a worker measures, with one copy."""
    from bnspec.backends.harness.registry import select

    with Worker(select(["numpy"])[0], "cpu") as worker:
        return worker.roofs({"sizes": [3 * 2**15], "copies": [3 * 2**17], "seconds": 0.01})


def test_both_actions_are_measured_at_every_size_by_one_thread_and_by_all(
    answer: Bandwidth,
) -> None:
    """Sizes that were asked for are on the curve."""
    for found in answer.curves:
        assert found.sizes_bytes == tuple(sorted({*SIZES, 3 * 2**15, 3 * 2**17}))
        assert min(found.bytes_per_second) > 0
    assert {f.action for f in answer.curves} == {"copy", "read"}


def test_the_plain_copy_is_verified(answer: Bandwidth) -> None:
    """It has copied."""
    (copy,) = answer.copies
    assert copy.same is True
    assert copy.samples_ns


def test_what_was_measured_can_be_recorded(answer: Bandwidth) -> None:
    """Each record keeps the schema: the copy has a backend's name."""
    records = list(records_of(answer, "cpu", 1))
    assert [decode(encode(r)) for r in records] == records
    assert [r.backend for r in records if isinstance(r, Timing)] == [COPY]


def test_the_sizes_of_the_workloads_are_on_the_curve_as_far_as_they_are_few() -> None:
    """Many are rounded to quarters of an octave."""
    short = sizes_of(SUITES["short"])
    assert {4096 * 64 * 4, 16 * 64 * 28 * 28 * 4, *COPIES_BYTES} <= set(short)
    many = sizes_of(SUITES["full"])
    assert MOST_SIZES < len(many) <= 4 * 13 + 1 + len(COPIES_BYTES)
    assert many[0] >= LEAST
    assert many[-1] <= LARGEST  # which is a whole octave


def roof(action: str, speed: float, threads: int = 1, process: int = 0) -> Roof:
    """A flat one at 2 to 32 bytes."""
    return Roof("cpu", action, threads, process, (2, 8, 32), (speed, 2 * speed, 2 * speed))


def timing(read: int, written: int, process: int = 0, **conditions: int) -> Timing:
    """A record that moves so many bytes."""
    named = dict(conditions.items())
    return Timing(
        "a", "cpu", "training", (4,), "float32", 0, (9,), 9.0, 1, 1, "conforms", 0.5,
        process=process, conditions=dict(named), moved_bytes=(read, written),
    )  # fmt: skip


def test_the_least_time_is_that_of_copying_what_is_read_and_written_and_of_reading_the_rest() -> None:
    """8 bytes copied are 16 moved."""
    ceiling = Ceiling([roof("copy", 1e9), roof("read", 4e9)])
    assert ceiling.least_ns(timing(8, 8)) == 16 / 2e9 * 1e9
    assert ceiling.least_ns(timing(8, 0)) == 8 / 8e9 * 1e9
    assert ceiling.least_ns(timing(40, 8)) == (16 / 2e9 + 32 / 8e9) * 1e9
    assert Ceiling([roof("copy", 1e9)]).least_ns(timing(8, 8)) is None


def test_between_two_sizes_the_roof_is_interpolated_and_beyond_them_it_is_that_of_the_nearest() -> None:
    """On logarithmic scales: 4 lies halfway between 2 and 8."""
    curve = best([roof("copy", 1e9)])
    assert curve.at(1) == 1e9
    assert curve.at(100) == 2e9
    assert curve.at(4) == pytest.approx(2**0.5 * 1e9, rel=8 * 2**-52)  # a quotient of two logarithms, and a power


def test_a_process_is_held_to_the_roof_of_its_own_round_and_of_its_own_threads() -> None:
    """A shared machine has better and worse hours."""
    ceiling = Ceiling(
        [roof(a, s, t, p) for a in ("copy", "read") for s, t, p in ((1e9, 1, 0), (3e9, 2, 0), (2e9, 1, 1))]
    )
    assert ceiling.least_ns(timing(8, 8, 0)) == 16 / 6e9 * 1e9
    assert ceiling.least_ns(timing(8, 8, 1)) == 16 / 4e9 * 1e9
    assert ceiling.least_ns(timing(8, 8, 0, threads=1)) == 16 / 2e9 * 1e9
    assert ceiling.least_ns(timing(8, 8, 7)) == 16 / 6e9 * 1e9  # of a round without roofs, the best of all
