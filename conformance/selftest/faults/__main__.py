"""``python -m bnspec.conformance.selftest.faults [TIMES]``: inject faults, and print a table of what became of them.

fault x times injected x survived with the right verdicts x units lost beyond the one in flight x seconds of delay
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bnspec.conformance.selftest.faults.injection import Injection, print_injections
from bnspec.conformance.selftest.faults.runs import (
    BENCH,
    VERIFY,
    damaged_lines,
    its_workers,
    killed,
    whole_run,
)
from bnspec.conformance.selftest.faults.workers import between_cases, in_a_case

#: Injections of each fault within a worker; of whole runs it is a third of that, a whole run takes seconds.
TIMES = 18


def injections(folder: Path, times: int) -> Iterator[Injection]:
    """All of them, the short ones first."""
    yield from in_a_case(folder, times)
    yield from between_cases(times)
    few = max(1, times // 3)
    yield from killed("verify: SIGKILL of the run", VERIFY, folder / "kill", whole_run(signal.SIGKILL), few, 1)
    yield from damaged_lines(folder / "lines", folder / "kill" / "whole", 6 * times, 2)
    yield from killed("verify: SIGINT to the group", VERIFY, folder / "interrupt", whole_run(signal.SIGINT), few, 3)
    yield from killed("verify: SIGTERM to the group", VERIFY, folder / "terminate", whole_run(signal.SIGTERM), few, 4)
    yield from killed("verify: SIGKILL of the workers", VERIFY, folder / "workers", its_workers, few, 5)
    yield from killed("bench: SIGKILL of the run", BENCH, folder / "bench", whole_run(signal.SIGKILL), few, 6)
    yield from killed("bench: SIGINT to the group", BENCH, folder / "stop", whole_run(signal.SIGINT), few, 7)


def main(arguments: list[str]) -> int:
    """Exit status 1: a fault was not survived."""
    with tempfile.TemporaryDirectory() as folder:
        found = injections(Path(folder), int(arguments[0]) if arguments else TIMES)
        return int(print_injections(found) > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
