"""Where the cases of a run are judged: in this process, or, once that has taken a while, in judging processes beside it.

Threads of one process compute one at a time: two workers would wait for one judge. A case goes to the same process
from every target, so that the oracle answers once. What a case gave is counted and journalled as soon as it is judged, while
its target's worker runs the next ones.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bnspec.backends.harness.interruption import check, stopping
from bnspec.backends.harness.launcher import python_environment
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.process import WorkerProcess
from bnspec.conformance.judge.collector import CaseJudgements
from bnspec.conformance.run.judging_process import Answer, Judged, Question
from bnspec.errors import HarnessError
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle

#: Processor seconds that judging takes here before processes are started: each takes about one to begin.
HERE_SECONDS = 2.0
#: Cases of one worker that are judged at a time, for each judging process: the one in work, and one that waits.
AHEAD = 2
#: Seconds between two looks at whether the run was stopped, while it waits.
LOOK_SECONDS = 0.1
#: What a process begins with; see ``launcher.BEGIN``.
BEGIN = "import sys; sys.path[:] = sys.path[not sys.path[0]:]; from bnspec.conformance.run.judging_process import begin; begin()"

#: Takes what was found of a case, with the processor time that judging it took.
Done = Callable[[CaseJudgements, float], None]


@dataclass(frozen=True)
class Asked:
    """A case to judge, and what a target gave for it."""

    target: Judged
    case: Case
    observation: Observation


class Judges:
    """Judges the cases of a run. Use as a context manager, or call ``close``.

    Args:
        processes: at most; below 2, all is judged in this one.
        oracle: of a case, kept for all targets.
    """

    def __init__(self, processes: int = 1, oracle: Callable[[Case], Oracle] = Oracle) -> None:
        self.processes, self.oracle = processes, oracle
        self.changed = threading.Condition()
        self.error: BaseException | None = None
        self._started: list[_Process] = []
        self._starting = threading.Lock()
        self._spent = 0.0
        self._closed = False

    def __enter__(self) -> Judges:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def flight(self) -> Flight:
        """For one worker."""
        return Flight(self)

    def judge(self, asked: Asked, done: Done) -> None:
        """Judge a case, and call ``done``: before this returns, or later in another thread."""
        process = self._process_of(asked.case)
        if process is None or asked.observation.status in ("crashed", "timeout"):
            started = time.thread_time()
            found = asked.target.collector.judged(asked.case, asked.observation, self.oracle(asked.case))
            spent = time.thread_time() - started
            self._spent += spent
            done(found, spent)
        else:
            process.ask(asked, done)

    def fail(self, error: BaseException) -> None:
        """The first error ends the run: every thread that waits for a judgement raises it."""
        with self.changed:
            if not self._closed:
                self.error = self.error or error
            self.changed.notify_all()

    def close(self) -> None:
        """End the processes."""
        with self.changed:
            self._closed = True
        for process in self._started:
            process.end()

    def _process_of(self, case: Case) -> _Process | None:
        """The process that judges the case, by its id: every second case of a run may be another shard's. None: this one does."""
        if self.processes < 2 or self._spent < HERE_SECONDS:
            return None
        with self._starting:
            while len(self._started) < self.processes:
                self._started.append(_Process(self))
        return self._started[int(case.id, 16) % self.processes]


class Flight:
    """The cases of one worker that are being judged. At the end of its block all are."""

    def __init__(self, judges: Judges) -> None:
        self._judges, self._open = judges, 0

    def judge(self, asked: Asked, done: Done) -> None:
        """Judge a case, once few enough are under way. Raises what ended the run, Interrupted too."""
        self._wait(AHEAD * self._judges.processes)

        def landed(found: CaseJudgements, seconds: float) -> None:
            try:
                done(found, seconds)
            finally:
                with self._judges.changed:
                    self._open -= 1
                    self._judges.changed.notify_all()

        with self._judges.changed:
            self._open += 1
        self._judges.judge(asked, landed)

    def _wait(self, fewer_than: int) -> None:
        judges = self._judges
        with judges.changed:
            while self._open >= fewer_than and judges.error is None:
                judges.changed.wait(LOOK_SECONDS)
                check()
            if judges.error is not None:
                raise judges.error

    def __enter__(self) -> Flight:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._wait(1)


class _Process:
    """A judging process, and the thread that takes its answers."""

    def __init__(self, judges: Judges) -> None:
        self._judges = judges
        self._waiting: dict[int, Done] = {}
        self._known: list[Judged] = []  # targets that it has been told, by their number
        self._sending, self._asked = threading.Lock(), 0
        self._ending, self._ended = threading.Lock(), False
        ours, theirs = socket.socketpair()
        try:
            command = [sys.executable, "-c", BEGIN, str(theirs.fileno()), str(judges.processes)]
            self._process = WorkerProcess(command, python_environment(), theirs.fileno(), Limits())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._connection = Connection(ours.detach())
        self._reader = threading.Thread(target=self._read, name="reads-judgements", daemon=True)
        self._reader.start()

    def ask(self, asked: Asked, done: Done) -> None:
        """Have a case judged; ``done`` is called in the reader's thread."""
        case, observation = asked.case.header(), asked.observation.header()
        with self._sending:
            self._asked += 1
            self._waiting[self._asked] = done
            number = next((n for n, known in enumerate(self._known) if known is asked.target), None)
            first = asked.target if number is None else None
            if number is None:
                number = len(self._known)
                self._known.append(asked.target)
            try:
                self._connection.send(Question(self._asked, number, asked.case.id, case, observation, first))
            except OSError:  # it has ended: the reader says how
                return

    def end(self) -> None:
        """End it, at once."""
        self._end_once(0.0)
        self._reader.join()
        self._connection.close()

    def _end_once(self, grace_seconds: float) -> None:
        """End the process, where that has not been done: its number may be another's then."""
        with self._ending:
            if not self._ended:
                self._ended = True
                self._process.end(grace_seconds)

    def _read(self) -> None:
        """Take the answers, until it ends."""
        try:
            while True:
                answer: Answer = self._connection.recv()
                done = self._waiting.pop(answer.ticket)
                if answer.error is not None or answer.found is None:
                    self._judges.fail(
                        answer.error
                        or HarnessError(
                            "a case was not judged.", "its process gave no answer.", "report this with the run."
                        )
                    )
                else:
                    done(answer.found, answer.seconds)
        except (EOFError, ConnectionError):
            if not stopping():
                self._judges.fail(self._death())
        except BaseException as error:  # noqa: BLE001  # what is raised here ends the run in the thread that waits
            self._judges.fail(error)

    def _death(self) -> HarnessError:
        """How it ended, as the error of the run."""
        self._end_once(2.0)
        return HarnessError(
            f"a judging process (pid {self._process.pid}) {self._process.how_it_ended()}.",
            "what it was judging is not known; what was judged before is on disk.",
            "go on with the run by --resume; where memory is short, with fewer --jobs.",
        )


def processes_for(jobs: int) -> int:
    """How many judging processes a run of so many jobs has: they compute, so that no more than there are processors help."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(jobs, usable)
