"""Starting workers and talking to them: a crash, a hang or a refusal is an answer like any other."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import bnspec
from bnspec.backends.harness.environments.environment import Environment
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.homes import Home, home_of
from bnspec.backends.harness.interruption import check, stopping
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.process import Ended, OverLimit, WorkerProcess
from bnspec.backends.harness.registry import Entry
from bnspec.backends.harness.replies import (
    BadReply,
    bandwidth_of,
    clean,
    devices_of,
    hello_of,
    kernels_of,
    observation_of,
    timing_of,
)
from bnspec.backends.worker.wire import PROTOCOL, Channel, Closed, Garbage, TimedOut
from bnspec.errors import FULL, HarnessError, Interrupted, UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation, StepResult
from bnspec.model.timing import Bandwidth, TimingResult
from bnspec.model.vocabulary import Status, TargetStatus

#: What a worker begins with. ``python -c``, as ``python -m``, puts the current folder first on the path, where a file of anybody
#: may have the name of a module; nothing has been imported from it when this runs.
BEGIN = (
    "import sys; sys.path[:] = sys.path[not sys.path[0]:]; from bnspec.backends.worker.__main__ import begin; begin()"
)

#: For runs whose workers stand side by side: threads that wait for work sleep, where the user has not said otherwise.
PATIENT = {n: os.environ.get(n, v) for n, v in (("OMP_WAIT_POLICY", "PASSIVE"), ("KMP_BLOCKTIME", "0"))}

#: Quiet frameworks; the run's own choices (threads, devices) pass through the environment untouched.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")}

#: Signals by which a process is ended from outside, by a person, a scheduler or the system; others it raises itself.
FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL)
#: How often a case is run, or a framework opened, whose worker was ended from outside, before that is said of the backend.
ATTEMPTS = 2
#: How the message of a case begins that the device had no memory for, twice.
OUT_OF_MEMORY = "the device's memory is full"
#: Bytes that must fit into the temporary folder.
ROOM_BYTES = 1 << 20

_T = TypeVar("_T")


class End(NamedTuple):
    """How a request ended without an answer; ``outside``: by a signal from outside, or because the device's memory was full, so that
    it says nothing of the backend."""

    status: Status
    message: str
    outside: bool = False


@dataclasses.dataclass(frozen=True)
class Hello:
    """What a worker said when it opened.

    Attributes:
        status: "ready"; "absent" (the device), "unavailable" (the framework), "malformed" (the adapter), "broken" (it raised),
            "crashed" or "timeout" (the process); "unbuilt" (its environment).
        reason: why, when not ready.
        versions, conventions: of a ready backend; environment: that it runs in, None: that of this program.
    """

    status: TargetStatus
    reason: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    conventions: Conventions | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    environment: Environment | None = None


def another_bnspec(hello: Mapping[str, Any]) -> str:
    """Which other bnspec a worker's hello comes from; empty where it is this one."""
    protocol, version = hello.get("hello"), hello.get("bnspec")
    if protocol is None or version is None:
        return "does not say its protocol and its bnspec version"
    if (protocol, version) == (PROTOCOL, bnspec.__version__):
        return ""
    return f"is bnspec {version} with protocol {protocol}"


class Worker:
    """A running worker process. Use as a context manager, or call ``stop``.

    ``python``: in place of that of the backend's environment, and with this program's packages. ``environment``: variables that
    it gets besides those of this process, and before them.
    """

    def __init__(
        self,
        entry: Entry,
        device: str,
        python: str | None = None,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.entry, self.device = entry, device
        self.limits = limits or Limits()
        self._environment = dict(environment or {})
        self._process: WorkerProcess | None = None
        self._channel: Channel | None = None
        self._asked = 0
        self.starts = 0
        try:
            self._home: Home | None = home_of(entry) if python is None else None
        except NotBuilt as error:
            self.python = ""
            self.hello = Hello("unbuilt", clean(error.reason))
            return
        self.python = python or (self._home.environment.python if self._home else sys.executable)
        try:
            self.hello = self._start()
        except BaseException:
            self._end(0.0)
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the live worker."""
        return self._process.pid if self._process else None

    def run(self, case: Case, seconds: float | None = None) -> Observation:
        """The case's observation; a crash or a silence is one too, and the next call meets a new process."""
        header, buffers = case.header()
        steps = (len(case.steps),)
        answer = self._ask(
            {"do": "run", "case": header}, buffers, seconds, lambda reply, data: observation_of(reply, data, steps)
        )
        return unanswered(case, answer) if isinstance(answer, End) else answer

    def time(
        self, case: Case, options: Mapping[str, Any], seconds: float | None = None
    ) -> tuple[TimingResult | None, Observation]:
        """What was timed of the case's last step, None where it did not end well, and the observation.

        The observation's first step is the observed call; its second, where there is one, holds the outputs of a timed call.
        """
        header, buffers = case.header()
        request = {"do": "time", "case": header, "options": dict(options)}
        answer = self._ask(request, buffers, seconds, lambda reply, data: timing_of(reply, data, len(case.steps)))
        return (None, unanswered(case, answer)) if isinstance(answer, End) else answer

    def kernels(self, case: Case, seconds: float | None = None) -> dict[str, float]:
        """The kernels of the case's last step with their shares of the time; nothing where there is no answer.

        A profiler slows what runs after it: ask when the process has timed everything.
        """
        header, buffers = case.header()
        answer = self._ask({"do": "kernels", "case": header}, buffers, seconds, kernels_of)
        return {} if isinstance(answer, End) else answer

    def roofs(self, options: Mapping[str, Any], seconds: float | None = None) -> Bandwidth:
        """Bandwidths of the device's memory; nothing where there is no answer."""
        answer = self._ask({"do": "roofs", "options": dict(options)}, [], seconds, bandwidth_of)
        return Bandwidth() if isinstance(answer, End) else answer

    def devices(self) -> dict[str, str]:
        """Each kind of device the backend knows, with its state."""
        answer = self._ask({"do": "devices"}, [], self.limits.open_seconds, devices_of)
        return {self.device: f"{answer.status}: {answer.message}"} if isinstance(answer, End) else answer

    def stop(self) -> None:
        """End the process, and whatever it started."""
        if self._channel is not None and not stopping():
            with contextlib.suppress(Closed, TimedOut, Ended, OverLimit, Interrupted):
                self._channel.send({"do": "stop"}, seconds=1.0)
        self._end(grace_seconds=5.0)

    def _ask(
        self,
        request: dict[str, Any],
        buffers: list[bytes],
        seconds: float | None,
        read: Callable[[dict[str, Any], list[bytes]], _T],
    ) -> _T | End:
        """The answer, or how it ended without one. What says nothing of the backend is asked again, once, of a new process."""
        limit = self.limits.case_seconds if seconds is None else seconds
        for _ in range(ATTEMPTS):
            answer = self._ask_once(request, buffers, limit, read)
            if not (isinstance(answer, End) and answer.outside):
                break
        return answer

    def _ask_once(
        self,
        request: dict[str, Any],
        buffers: list[bytes],
        seconds: float,
        read: Callable[[dict[str, Any], list[bytes]], _T],
    ) -> _T | End:
        check()
        if self._channel is None:
            try:
                again = self._start()
            except UsageError as error:
                return End("crashed", f"the worker could not be started again: {error.what}")
            if again.status != "ready":
                return End("crashed", f"the worker could not be started again: {again.status}, {again.reason}")
        channel = self._channel
        assert channel is not None
        self._asked += 1
        try:
            channel.send({**request, "number": self._asked}, buffers, seconds)
            reply, data = channel.receive(seconds)
            if reply.pop("answers", None) != self._asked:
                raise BadReply("it does not answer this request")
            if "failure" in reply:
                return self._failed(reply)
            return read(reply, data)
        except (Closed, Ended):
            return self._death()
        except TimedOut:
            self._end(0.0)
            return End("timeout", f"no answer within {seconds:g} s")
        except OverLimit as error:
            self._end(0.0)
            return End("crashed", f"ended at its limit: {error}")
        except (Garbage, BadReply) as error:
            self._end(0.0)
            return End("crashed", clean(f"its reply cannot be read: {error}"))

    def _failed(self, reply: Mapping[str, Any]) -> End:
        """The end by a failure of the worker. Raises HarnessError: there is no room in the temporary folder."""
        self._end(0.0)
        if reply.get("no_space") is True:
            refuse_full_folder()
        if reply.get("device_full") is True:
            return End("not_run", clean(f"{OUT_OF_MEMORY}: {reply['failure']}"), outside=True)
        lines = [line for line in str(reply["failure"]).splitlines() if line.strip()] or ["it gives no reason"]
        return End("crashed", clean(f"the worker failed: {lines[-1].strip()}"))

    def _start(self) -> Hello:
        """The hello of a new process; one that was ended from outside while it opened is started again, once."""
        answer = self._start_once()
        for _ in range(1, ATTEMPTS):
            if isinstance(answer, Hello) or not answer.outside:
                break
            answer = self._start_once()
        return Hello("crashed", answer.message) if isinstance(answer, End) else answer

    def _start_once(self) -> Hello | End:
        ours, theirs = socket.socketpair()
        more = {**QUIET, "PYTHONUNBUFFERED": "1", **self._environment}
        environment = python_environment(more) if self._home is None else {**self._home.variables, **more}
        command = [
            self.python,
            "-c",
            BEGIN,
            str(theirs.fileno()),
            self.entry.adapter,
            self.device,
            *(["own"] if self.entry.own else []),
        ]
        try:
            self._process = WorkerProcess(command, environment, theirs.fileno(), self.limits)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        process = self._process

        def watch() -> None:
            check()
            process.watch()

        self._channel = Channel(ours, self.limits.frame_bytes, watch)
        self.starts += 1
        seconds = self.limits.open_seconds
        try:
            details, _ = self._channel.receive(seconds)
        except (Closed, Ended):
            return self._death()
        except TimedOut:
            self._end(0.0)
            return Hello("timeout", f"did not open within {seconds:g} s")
        except OverLimit as error:
            self._end(0.0)
            return Hello("crashed", f"ended at its limit: {error}")
        except Garbage as error:
            self._end(0.0)
            return Hello("broken", clean(f"what it said first cannot be read: {error}"))
        return self._opened(details)

    def _opened(self, details: dict[str, Any]) -> Hello:
        """The hello. Raises UsageError: another bnspec, or an adapter that breaks the contract."""
        if problem := another_bnspec(details):
            self._end(0.0)
            raise UsageError(
                f"{self.entry.name}: the worker in {self.python} {problem}.",
                f"here is bnspec {bnspec.__version__} with protocol {PROTOCOL}; on that Python's import path is another bnspec.",
                f"install bnspec {bnspec.__version__} there, or take the other one off its PYTHONPATH.",
            )
        try:
            said, conventions = hello_of(details)
        except BadReply as error:
            self._end(0.0)
            return Hello("broken", f"what it said first cannot be read: {error}")
        if said.status != "ready":
            self._end(2.0)
            if details.get("no_space") is True:
                refuse_full_folder()
        if said.status == "malformed":
            raise UsageError(f"{self.entry.name}: {said.reason}", said.why, said.fix)
        read = {
            "framework": said.framework,
            "ran_on": said.ran_on,
            "open_seconds": said.open_seconds if said.status == "ready" else None,
        }
        environment = self._home.environment if self._home else None
        return Hello(said.status, said.reason, said.versions, conventions, {**details, **read}, environment)

    def _death(self) -> End:
        """How the process ended, with the last thing it said."""
        process = self._process
        assert process is not None, "of a worker that was started"
        self._end(2.0)
        return End("crashed", clean(process.how_it_ended()), process.ended_itself and -process.code in FROM_OUTSIDE)

    def _end(self, grace_seconds: float) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.end(grace_seconds)
            self._process = None


def python_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a Python process that is started from here, with more of them; the current folder is not on its path."""
    environment = {**os.environ, **(more or {})}
    # an empty entry, as ":/folder" has one, stands for the current folder
    listed = environment.get("PYTHONPATH", "").split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join(folder for folder in listed if folder)
    return environment


def unanswered(case: Case, end: End) -> Observation:
    """The observation of a case without an answer."""
    return Observation(end.status, end.message, tuple(StepResult(end.status, end.message) for _ in case.steps))


def refuse_full_folder() -> None:
    """Raise HarnessError where the temporary folder has no room: what a backend raised then says nothing of it."""
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM_BYTES))
            file.flush()
    except OSError as error:
        if error.errno not in FULL:
            return
        raise HarnessError(
            f"the temporary folder {folder} is full.",
            "a backend could not write there, which is no fault of it.",
            "make room, or set TMPDIR to another folder; then resume the run.",
        ) from None
