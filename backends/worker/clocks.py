"""The system's clocks, as they were before a backend was opened: one that replaces them would time itself.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import time

CLOCKS = ("perf_counter_ns", "perf_counter", "monotonic", "process_time", "sleep")
#: Kept when this module is imported, which a worker does before anything of a backend.
ORIGINAL = {name: getattr(time, name) for name in CLOCKS}
#: For what the worker says of its own time, whatever a backend has made of the module's since.
perf_counter, process_time = time.perf_counter, time.process_time


def replaced() -> str:
    """Which clocks are not the system's any more; "" where all are."""
    names = [name for name, clock in ORIGINAL.items() if getattr(time, name) is not clock]
    return "time.%s is not the system's" % ", time.".join(names) if names else ""
