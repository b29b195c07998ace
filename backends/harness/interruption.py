"""SIGINT and SIGTERM: a run stops between two cases within a second, and what was interrupted is not written.

    with stoppable():
        resumable("bnspec verify --resume runs/mine")
        ...

The first signal raises ``Interrupted`` in the main thread, and soon after it in every thread that waits for a worker. What
still computes after a moment is left where it is: the journal holds all that was finished. The second signal ends the
process at once. Workers stand in sessions of their own, so that a terminal's signal reaches this process alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from bnspec.errors import Interrupted

#: Seconds until the process ends, whatever its threads are doing.
MOMENT_SECONDS = 0.8


class _Stop:
    """Which signal came, 0 while none did, and how the run can be resumed."""

    number = 0
    fix = ""
    timer: threading.Timer | None = None
    installed = False


def stopping() -> bool:
    """Whether a signal has come."""
    return _Stop.number != 0


def check() -> None:
    """Raise Interrupted where a signal has come."""
    if _Stop.number:
        raise Interrupted(_Stop.number, _Stop.fix)


def resumable(fix: str) -> None:
    """Say how to go on with the run: printed when a signal ends it."""
    _Stop.fix = fix


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Handle both signals while the block runs; the outermost one counts. Elsewhere than in the main thread nothing changes."""
    if _Stop.installed or threading.current_thread() is not threading.main_thread():
        yield
        return
    _Stop.number, _Stop.fix, _Stop.installed = 0, "", True
    before = {number: signal.signal(number, _first_or_second) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if _Stop.timer is not None:
            _Stop.timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
        _Stop.number, _Stop.fix, _Stop.timer, _Stop.installed = 0, "", None, False


def _first_or_second(number: int, frame: FrameType | None) -> None:
    """The handler."""
    if _Stop.number:
        os._exit(128 + number)
    _Stop.number = number
    _Stop.timer = threading.Timer(MOMENT_SECONDS, _end)
    _Stop.timer.daemon = True
    _Stop.timer.start()
    raise Interrupted(number, _Stop.fix)


def _end() -> None:
    """End the process: a thread computes for longer than a moment. The keeper ends the workers."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"bnspec: {Interrupted(_Stop.number, _Stop.fix)}\n")
        sys.stderr.flush()
    os._exit(128 + _Stop.number)
