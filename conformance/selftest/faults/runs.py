"""Faults in whole runs: processes killed at random moments, then the run resumed and compared with an uninterrupted one."""

from __future__ import annotations

import collections
import contextlib
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
from bnspec.cli import FAILED
from bnspec.conformance.selftest.faults.injection import Injection
from bnspec.conformance.selftest.wheels import write_host_numpy
from bnspec.reports.run.journal import JOURNAL, JudgedCase, UnitDone, read_journal
from bnspec.reports.run.store import read_run

MAIN = "from bnspec.cli import main; sys.exit(main())"
PROGRAM = (sys.executable, "-c", f"import sys; {MAIN}")
#: Two workers of a target from the start, and two processes that judge from the first case on, however many cores there are.
TOGETHER = (
    sys.executable, "-c",
    ("import os, sys; os.sched_getaffinity = lambda _: {0, 1}; from bnspec.conformance.run import judges, target_run; "
    f"judges.HERE_SECONDS = 0.0; target_run.WORTH_ASSISTING = 2; {MAIN}"),
)  # fmt: skip
JUDGED = (
    "verify", "--backend", "bnspec.conformance.selftest.faults.adapters:Faulty", "--clause", "epsilon.inside_root_in_inference",
    "--json", "--jobs",
)  # fmt: skip
VERIFY = (*PROGRAM, *JUDGED, "1")
VERIFY_TOGETHER = (*TOGETHER, *JUDGED, "2")
BENCH = (
    *PROGRAM, "bench", "--backend", "numpy", "--pass", "inference", "--seconds", "0.005", "--rounds", "2", "--json",
)  # fmt: skip
#: Two releases, which are wheels in a folder; each run builds their environments in a cache of its own.
RELEASES = (
    *PROGRAM, "releases", "numpy==2.0.0", "numpy==2.0.1", "--backend", "numpy", "--clause", "epsilon.inside_root_in_inference",
    "--effort", "device", "--json", "--jobs", "1",
)  # fmt: skip
#: What the command line of a process of the run has in it.
WORKER, JUDGE = re.compile(rb"bnspec\.backends\.worker\.__main__"), re.compile(rb"judging_process")
#: Sends a fault to a run; returns whether it met what it was meant for.
Kill = Callable[["subprocess.Popen[bytes]"], bool]


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


def killed(what: str, command: Sequence[str], folder: Path, kill: Kill, times: int, seed: int) -> Iterator[Injection]:
    """Run, kill at a random moment while the run does its work, resume, and compare. ``command``: with its program."""
    draw = random.Random(seed)
    folder.mkdir(parents=True)
    write_host_numpy(folder / "wheels", "2.0.0", "2.0.1")  # all that the index of these runs has
    began = time.monotonic()
    undisturbed = begun(command, folder / "whole")
    working = time.monotonic()
    undisturbed.wait()
    ended = time.monotonic()
    whole, right = ended - began, verdicts(folder / "whole")
    for number in range(times):
        path = folder / str(number)
        began = time.monotonic()
        run = begun(command, path)
        time.sleep(draw.uniform(0.0, 0.8 * (ended - working)))
        hit = kill(run)
        run.wait()
        if not (path / "manifest.json").exists():  # it was building environments, and had no run directory yet
            begun(command, path).wait()
        elif not read_run(path).complete:
            started(command, "--resume", path).wait()
        took = time.monotonic() - began
        lost = done_twice(path)
        survived = verdicts(path) == right and not lost and not half_built(path)
        yield Injection(what, survived, lost, took - whole, hit)


def begun(command: Sequence[str], path: Path) -> subprocess.Popen[bytes]:
    """A run in a session of its own, once it has its journal, or builds an environment, or has ended."""
    run = started(command, "--out", path)
    while run.poll() is None and not (path / JOURNAL).exists() and not half_built(path):
        time.sleep(0.01)
    return run


def started(command: Sequence[str], option: str, path: Path) -> subprocess.Popen[bytes]:
    """The command on the run directory ``path``, with a cache and an index beside it that no other run has."""
    isolated = {"UV_FIND_LINKS": str(path.parent / "wheels"), "UV_NO_INDEX": "1", "XDG_CACHE_HOME": str(_cache(path))}
    return subprocess.Popen(
        [*command, option, str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **isolated},
    )


def half_built(path: Path) -> list[Path]:
    """What lies where a run builds its environments."""
    return list(_cache(path).glob("bnspec/environments/building/*"))


def _cache(path: Path) -> Path:
    return path.with_suffix(".cache")


def whole_run(number: int) -> Kill:
    """Send a signal to the run's group, as a terminal does; it hits where the run ends by it."""

    def kill(run: subprocess.Popen[bytes]) -> bool:
        try:
            os.killpg(run.pid, number)
        except ProcessLookupError:  # it had ended
            return False
        return run.wait() in (-number, 128 + number)

    return kill


def its_workers(run: subprocess.Popen[bytes]) -> bool:
    """Kill the workers of the run, whichever there are at the moment, or the next one; the run goes on."""
    while run.poll() is None:
        if _kill(_children(run, WORKER)):
            return True
        time.sleep(0.01)
    return False


def its_judge(run: subprocess.Popen[bytes]) -> bool:
    """Kill one judging process; the run ends by an error."""
    return _kill(_children(run, JUDGE)[:1]) and run.wait() >= FAILED


def _children(run: subprocess.Popen[bytes], which: re.Pattern[bytes]) -> list[int]:
    """The processes of a run whose command lines match."""
    found = []
    for number in marked(""):
        try:
            parent = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1]
            words = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if int(parent) == run.pid and which.search(words):
            found.append(number)
    return found


def _kill(numbers: Sequence[int]) -> bool:
    """Kill the processes; returns whether one was still there."""
    hit = False
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
            hit = True
    return hit


def damaged_lines(folder: Path, whole: Path, times: int, seed: int) -> Iterator[Injection]:
    """A flipped byte, a torn end, lines of zeros, in the records and in the journal: each costs that line.

    Of the records it is said, but for a torn end. A line of the journal is passed over in silence: its unit is done again.
    """
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
        said = name == "records.jsonl" and kind != "a torn last line"
        survived = gone == 1 and len(run.damaged) == said
        yield Injection(f"{kind} in the {name.partition('.')[0]}", survived, gone - 1, time.monotonic() - began)
