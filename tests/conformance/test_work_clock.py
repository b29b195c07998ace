"""The clock of searches: work counts, and not what else the machine does."""

from __future__ import annotations

from bnspec.conformance.run.work_clock import PATIENCE, WorkClock


class Clocks:
    """A wall clock and a thread's processor time, which stand until they are set."""

    wall, thread = 100.0, 7.0


def test_a_clock_of_work_counts_the_processor_time_of_both_sides() -> None:
    """A second here and two in the worker are three, however long they took."""
    clocks = Clocks()
    clock = WorkClock(lambda: clocks.wall, lambda: clocks.thread)
    clocks.wall, clocks.thread, clock.worker = 110.0, 8.0, 2.0
    assert clock() == 3.0


def test_a_clock_of_work_is_between_the_wall_clock_and_a_quarter_of_it() -> None:
    """Threads of a worker run side by side; one that sleeps or waits for a device has no processor time."""
    clocks = Clocks()
    clock = WorkClock(lambda: clocks.wall, lambda: clocks.thread)
    clocks.wall, clock.worker = 101.0, 2.0
    assert clock() == 1.0
    clocks.wall = 100.0 + 12.0 * PATIENCE
    assert clock() == 12.0
