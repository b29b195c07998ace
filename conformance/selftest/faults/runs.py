"""Faults in whole runs: processes killed at random moments, then the run resumed and compared with an uninterrupted one."""

from __future__ import annotations

import collections
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bnspec.backends.harness.keeper import marked
from bnspec.conformance.selftest.faults.injection import Injection
from bnspec.reports.run.journal import JudgedCase, UnitDone, read_journal
from bnspec.reports.run.store import read_run

PROGRAM = (sys.executable, "-c", "import sys; from bnspec.cli import main; sys.exit(main())")
VERIFY = (
    "verify", "--backend", "bnspec.conformance.selftest.faults.adapters:Faulty", "--clause", "epsilon.inside_root_in_inference",
    "--jobs", "1", "--json",
)  # fmt: skip
BENCH = ("bench", "--backend", "numpy", "--pass", "inference", "--seconds", "0.005", "--rounds", "2", "--json")
WORKER = re.compile(rb"bnspec\.backends\.worker\.__main__")


def verdicts(path: Path) -> list[Any]:
    """What a run says, without its times."""
    run = read_run(path)
    found = [(f.backend, f.clause, f.verdict, f.cases, f.failures, f.declined, f.ratio, f.case) for f in run.findings]
    timed = [(t.backend, t.workload, t.shape, t.process, t.verdict) for t in run.timings]
    return sorted(map(repr, [*found, *timed, *run.incidents, run.complete]))


def done_twice(path: Path) -> int:
    """Units that the journal has more than once: they were lost, or not known to be done."""
    units = collections.Counter(
        (e.backend, e.order) if isinstance(e, JudgedCase) else e.unit
        for e in read_journal(path)
        if isinstance(e, (JudgedCase, UnitDone))
    )
    return sum(n - 1 for n in units.values())


def killed(
    what: str,
    command: Sequence[str],
    folder: Path,
    kill: Callable[[subprocess.Popen[bytes]], None],
    times: int,
    seed: int,
) -> Iterator[Injection]:
    """Run, kill at a random moment, resume, and compare."""
    draw = random.Random(seed)
    folder.mkdir(parents=True)
    began = time.monotonic()
    subprocess.run([*PROGRAM, *command, "--out", str(folder / "whole")], stdout=subprocess.DEVNULL, check=False)
    whole, right = time.monotonic() - began, verdicts(folder / "whole")
    for number in range(times):
        path = folder / str(number)
        began = time.monotonic()
        run = subprocess.Popen(
            [*PROGRAM, *command, "--out", str(path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while run.poll() is None and not (path / "journal.jsonl").exists():
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.8 * whole))
        kill(run)
        run.wait()
        if not read_run(path).complete:
            subprocess.run([*PROGRAM, *command, "--resume", str(path)], stdout=subprocess.DEVNULL, check=False)
        took = time.monotonic() - began
        lost = done_twice(path)
        yield Injection(what, verdicts(path) == right and not lost, lost, took - whole)


def whole_run(number: int) -> Callable[[subprocess.Popen[bytes]], None]:
    """Send a signal to the run's group, as a terminal does."""

    def kill(run: subprocess.Popen[bytes]) -> None:
        try:
            os.killpg(run.pid, number)
        except ProcessLookupError:  # it had ended
            return

    return kill


def its_workers(run: subprocess.Popen[bytes]) -> None:
    """Kill the workers of the run, whichever there are at the moment; the run goes on."""
    for number in marked(""):
        try:
            parent = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == run.pid and WORKER.search(
                Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ")
            ):
                os.kill(number, signal.SIGKILL)
        except OSError:
            continue


def damaged_lines(folder: Path, whole: Path, times: int, seed: int) -> Iterator[Injection]:
    """A flipped byte, a torn end, lines of zeros, in the records and in the journal: each costs that line and is said."""
    draw = random.Random(seed)
    records, journal = (whole / "records.jsonl").read_bytes(), (whole / "journal.jsonl").read_bytes()
    before, units = len(read_run(whole).records), len(read_journal(whole))
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes((whole / "manifest.json").read_bytes())
    for number in range(times):
        name, text = (("records.jsonl", records), ("journal.jsonl", journal))[number % 2]
        began = time.monotonic()
        kind = ("a flipped byte", "a torn last line", "a line of zeros")[number // 2 % 3]
        lines = text.splitlines(keepends=True)
        at = draw.randrange(len(lines))
        place = draw.randrange(len(lines[at]) - 1)
        if kind == "a flipped byte":
            lines[at] = lines[at][:place] + bytes([lines[at][place] ^ 0x04]) + lines[at][place + 1 :]
        elif kind == "a torn last line":
            lines[-1] = lines[-1][: draw.randrange(1, len(lines[-1]) - 1)]
        else:
            lines[at] = bytes(len(lines[at]) - 1) + b"\n"
        (folder / "records.jsonl").write_bytes(records)
        (folder / "journal.jsonl").write_bytes(journal)
        (folder / name).write_bytes(b"".join(lines))
        run = read_run(folder)
        gone = before - len(run.records) + units - len(read_journal(folder))
        said = kind == "a torn last line" or name == "journal.jsonl" or len(run.damaged) == 1
        yield Injection(
            f"{kind} in the {name.partition('.')[0]}", gone == 1 and said, gone - 1, time.monotonic() - began
        )
