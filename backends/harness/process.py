"""A worker's process: a session of its own, its output kept from the end, its memory watched, ended with all that it started."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from bnspec.backends.harness import keeper
from bnspec.backends.harness.interruption import stopping
from bnspec.backends.harness.last_words import KEPT_BYTES, last_words
from bnspec.backends.harness.limits import GIB, Limits
from bnspec.errors import HarnessError

#: Seconds between two looks at whether a process has ended.
LOOK_SECONDS = 0.005
#: Seconds for the rest of the output of a process that has ended.
REST_SECONDS = 0.5

#: Marks everything that this run starts; a worker has a number of its own.
RUN = secrets.token_hex(8)
_numbers = itertools.count(1)


class OverLimit(Exception):
    """A worker went beyond a limit; the text says which."""


class Ended(Exception):
    """The process has ended, though something that it started may still hold its socket."""


class Output:
    """What a process prints: all of it is read, the last part is kept, and nothing is written to a disk."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor, self._limit = descriptor, limit
        self._last = bytearray()
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def exceeded(self) -> bool:
        """Whether it printed more than it may; nothing more is read then, and the process waits."""
        return self.bytes > self._limit

    def last(self) -> bytes:
        """The end of it, once the process has ended, after a moment for what is still in the pipe."""
        self._ended.set()
        self._thread.join(REST_SECONDS)
        return bytes(self._last)

    def _read(self) -> None:
        try:
            while not self.exceeded and (piece := os.read(self._descriptor, 1 << 16)):
                self.bytes += len(piece)
                self._last = (self._last + piece)[-KEPT_BYTES:]
            if self.exceeded:
                self._ended.wait()  # a closed pipe would be an error of the backend's
        finally:
            os.close(self._descriptor)


class WorkerProcess:
    """A running process.

    Args:
        command: what is run; environment: all its variables; inherited: a descriptor that it gets.
    Raises: HarnessError: the system does not start it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], inherited: int, limits: Limits) -> None:
        self.mark = f"{RUN}-{next(_numbers)}."
        self.limits = limits
        self.ended_itself = False  # before this process killed it
        self._seen_ended = False
        ours, theirs = os.pipe()
        try:
            self._process = (
                _starter().submit(_popen, command, {**environment, keeper.MARK: self.mark}, inherited, theirs).result()
            )
        except OSError as error:
            os.close(ours)
            raise HarnessError(
                f"{command[0]} cannot be started.",
                f"{error}.",
                "check the path, and that the machine has memory and processes left.",
            ) from None
        finally:
            os.close(theirs)
        self.output = Output(ours, limits.output_bytes)
        _tell_keeper(f"+{self.pid}\n")

    @property
    def pid(self) -> int:
        """Its id, which is that of its session and of its group, too."""
        return self._process.pid

    def watch(self) -> None:
        """Look at it while waiting for it. Raises Ended, OverLimit."""
        if self.output.exceeded:
            raise OverLimit(f"it printed more than {self.limits.output_mib:g} MiB (--output-mib)")
        used = self._resident_bytes()
        if used > self.limits.memory_bytes:
            raise OverLimit(
                f"it had {used / GIB:.1f} GiB of memory, more than {self.limits.memory_gib:g} (--memory-gib)"
            )
        if self._has_ended():
            if self._seen_ended:  # what it had sent before has been read since the last look
                raise Ended()
            self._seen_ended = True

    def end(self, grace_seconds: float) -> None:
        """Wait a while for its end, then kill it; and in any case whatever it started."""
        deadline = time.monotonic() + grace_seconds
        while not self._has_ended() and time.monotonic() < deadline and not stopping():
            time.sleep(LOOK_SECONDS)
        self.ended_itself = self._has_ended()
        keeper.kill_group(self.pid)  # before the process is reaped: until then no other group has this number
        self._process.wait()
        keeper.kill_marked(self.mark)
        self.output.last()
        _tell_keeper(f"-{self.pid}\n")

    @property
    def code(self) -> int:
        """How it ended: its exit status, or minus the number of the signal."""
        return self._process.returncode

    def how_it_ended(self) -> str:
        """The same in words, with the last thing that it said."""
        ended = f"killed by {signal_name(-self.code)}" if self.code < 0 else f"ended with status {self.code}"
        place, said = last_words(self.output.last())
        return ended + (f" in {place}" if place else "") + (f"; it said: {said}" if said else "")

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _resident_bytes(self) -> int:
        """Its resident memory; 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


def signal_name(number: int) -> str:
    """The signal's name; real-time signals have numbers only."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _popen(
    command: Sequence[str], environment: Mapping[str, str], inherited: int, output: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment,
        pass_fds=[inherited],
        start_new_session=True,
    )


@cache
def _starter() -> ThreadPoolExecutor:
    """The thread that starts all workers: on Linux a worker ends with the *thread* that started it, and this one stays."""
    return ThreadPoolExecutor(1, thread_name_prefix="starts-workers")


@cache
def _keeper() -> int:
    """The descriptor of the pipe to this run's keeper, started with the first worker; it is closed by this process's end."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, f"{RUN}-"],
        stdin=read,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    os.close(read)
    process.returncode = 0  # it outlives this process: nobody waits for it
    return write


def _tell_keeper(line: str) -> None:
    with _telling:
        keeping = _keeper()
        with contextlib.suppress(
            OSError
        ):  # one that was killed keeps nothing more: each worker has its parent-death signal
            os.write(keeping, line.encode())


_telling = threading.Lock()

__all__ = ["Ended", "OverLimit", "WorkerProcess"]
