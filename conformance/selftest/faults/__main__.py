"""``python -m bnspec.conformance.selftest.faults [TIMES] [workers|verify|bench|releases]``: inject faults, and print a table of what became of them.

fault x times injected x times that it hit x survived with the right verdicts x units lost beyond the one in flight x seconds of delay
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bnspec.conformance.selftest.faults.injection import Injection, print_injections
from bnspec.conformance.selftest.faults.runs import (
    BENCH,
    RELEASES,
    VERIFY,
    VERIFY_TOGETHER,
    damaged_lines,
    its_judge,
    its_workers,
    killed,
    whole_run,
)
from bnspec.conformance.selftest.faults.workers import between_cases, in_a_case
from bnspec.terminal.progress import Progress

#: Injections of each fault within a worker; of whole runs it is a third of that, a whole run takes seconds.
TIMES = 18


def parts(folder: Path, times: int) -> dict[str, Iterator[Injection]]:
    """All of them, by what they are injected into."""
    few = max(1, times // 3)
    return {
        "workers": chain(in_a_case(folder, times), between_cases(times)),
        "verify": chain(
            killed("verify: SIGKILL of the run", VERIFY, folder / "kill", whole_run(signal.SIGKILL), few, 1),
            damaged_lines(folder / "lines", folder / "kill" / "whole", 6 * times, 2),
            killed("verify: SIGINT to the group", VERIFY, folder / "interrupt", whole_run(signal.SIGINT), few, 3),
            killed("verify: SIGTERM to the group", VERIFY, folder / "terminate", whole_run(signal.SIGTERM), few, 4),
            killed("verify: SIGKILL of the workers", VERIFY, folder / "workers", its_workers, few, 5),
            *(
                killed(f"verify of two jobs: {what}", VERIFY_TOGETHER, folder / name, kill, few, seed)
                for what, name, kill, seed in (
                    ("SIGKILL of the run", "kill-two", whole_run(signal.SIGKILL), 8),
                    ("SIGINT to the group", "interrupt-two", whole_run(signal.SIGINT), 9),
                    ("SIGKILL of the workers", "workers-two", its_workers, 10),
                    ("SIGKILL of a judging process", "judge-two", its_judge, 11),
                )
            ),
        ),
        "bench": chain(
            killed("bench: SIGKILL of the run", BENCH, folder / "bench", whole_run(signal.SIGKILL), few, 6),
            killed("bench: SIGINT to the group", BENCH, folder / "stop", whole_run(signal.SIGINT), few, 7),
            killed("bench: SIGKILL of the workers", BENCH, folder / "timed", its_workers, few, 12),
        ),
        "releases": chain(
            killed("releases: SIGKILL of the run", RELEASES, folder / "releases", whole_run(signal.SIGKILL), few, 13),
            killed("releases: SIGINT to the group", RELEASES, folder / "released", whole_run(signal.SIGINT), few, 14),
            killed("releases: SIGKILL of the workers", RELEASES, folder / "judged", its_workers, few, 15),
        ),
    }


def main(arguments: list[str]) -> int:
    """``TIMES`` and the parts to inject into, all by default. Exit status 1: a fault was not survived, or none of its kind hit."""
    times = next((int(a) for a in arguments if a.isdigit()), TIMES)
    with tempfile.TemporaryDirectory() as folder, Progress() as progress:
        found = parts(Path(folder), times)
        some = [a for a in arguments if a in found] or list(found)
        injections = []
        for part in some:
            for done, one in enumerate(found[part]):
                progress.update(part, one.fault, done)
                injections.append(one)
            progress.end(part, "done")
    return int(print_injections(injections) > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
