"""One unit of a plan, run on whatever machine this is: a call of the command line as a process of its own.

    python -P -m bnspec.conformance.cluster.unit plans/mine/plan.json 7

The exit status is 0 where the unit's run is whole, whatever its verdicts, and 1 where it is not: an engine runs it again, and it
goes on where it was. Standard library only: engines send this file to machines that lack the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

#: Where Kubernetes says a pod's number, from 0.
INDEX = "JOB_COMPLETION_INDEX"
#: Exit statuses of a run that was finished: conforming, deviating, without a target that opens.
FINISHED = (0, 1, 3)
#: Characters of a unit's last words that are kept.
SAID = 2000


class UnitLost(Exception):
    """A unit's process was ended by a signal: the engine runs it again. Holds its last words."""


def whole(path: Path) -> bool:
    """Whether a run directory's last line says that the run finished."""
    try:
        with (path / "records.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            last = file.read().rstrip().rpartition(b"\n")[2]
        return bool(json.loads(last).get("kind") == "run_finished")
    except (OSError, ValueError, AttributeError):
        return False


def call(python: str, words: list[str], path: Path) -> list[str]:
    """The command line that begins the run of a unit in a folder, or goes on with it."""
    begun = (path / "manifest.json").exists()
    return [python, "-P", "-m", "bnspec", *words, "--resume" if begun else "--out", str(path)]


def with_parent() -> None:
    """Before the unit's program begins: end with the process that started it, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG; bnspec stops between two cases, and its workers


def run(python: str, words: list[str], path: Path, errors: int | None = None) -> int:
    """Run a unit until its process ends; SIGTERM and SIGINT end it, too. Returns its exit status, negative for a signal."""
    with subprocess.Popen(
        call(python, words, path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        preexec_fn=with_parent,  # noqa: PLW1509  # it only calls the system
    ) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3)
            process.kill()
            raise


def packed(path: Path) -> bytes:
    """A run directory as a compressed tar of its regular files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=1, format=tarfile.USTAR_FORMAT) as tar:
        for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink()):
            tar.add(file, file.relative_to(path).as_posix(), recursive=False)
    return data.getvalue()


def run_away(python: str | None, words: list[str]) -> tuple[int, str, bytes, str]:
    """Run a unit in a temporary folder of this machine.

    Returns: its exit status, its last words, its run directory as ``packed`` makes it (empty where the run is not whole), and
        this machine's name.
    Raises: UnitLost: a signal ended it.
    """
    folder = Path(tempfile.mkdtemp(prefix="bnspec-unit-"))
    try:
        with (folder / "errors").open("w+b") as errors:
            status = run(python or sys.executable, words, folder / "run", errors.fileno())
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - SAID))
            said = errors.read().decode("utf-8", "replace")
        if status < 0 or status > 128:
            raise UnitLost(f"ended with status {status}: {said}")
        finished = status in FINISHED and whole(folder / "run")
        return status, said, packed(folder / "run") if finished else b"", platform.node()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_of(plan: Path, number: int) -> Path:
    """Where the run of a unit lies."""
    return plan.parent / "units" / f"{number:04d}"


def run_here(plan: Path, number: int) -> int:
    """Run a unit of a plan into the plan's folder, unless it is there already. Returns 0: its run is whole."""
    unit = json.loads(plan.read_bytes())["units"][number - 1]
    path = folder_of(plan, number)
    if not whole(path):
        path.parent.mkdir(exist_ok=True)
        run(sys.executable, unit["arguments"], path)
    return int(not whole(path))


def _stop(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def main(words: list[str]) -> int:
    """Of ``PLAN N``, or of ``PLAN --first N``, to which the environment adds the pod's index."""
    signal.signal(signal.SIGTERM, _stop)
    plan = Path(words[0])
    number = int(words[2]) + int(os.environ[INDEX]) if words[1] == "--first" else int(words[1])
    try:
        return run_here(plan, number)
    except KeyboardInterrupt:
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
