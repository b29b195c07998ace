"""Starting workers and talking to them: a crash, a hang or a refusal is an answer like any other."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import bnspec
from bnspec.backends.harness.registry import Entry
from bnspec.backends.worker.wire import PROTOCOL, Channel, Closed, TimedOut
from bnspec.errors import HarnessError, UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation, StepResult
from bnspec.model.timing import Bandwidth, TimingResult
from bnspec.model.vocabulary import Status, TargetStatus

#: Seconds: opening a framework; one case. A case is small: a worker silent for so long hangs.
OPEN_SECONDS = 180.0
CASE_SECONDS = 60.0

#: What a worker begins with. ``python -c``, as ``python -m``, puts the current folder first on the path, where a file of anybody
#: may have the name of a module; nothing has been imported from it when this runs.
BEGIN = (
    "import sys; sys.path[:] = sys.path[not sys.path[0]:]; from bnspec.backends.worker.__main__ import begin; begin()"
)

#: For runs whose workers stand side by side: threads that wait for work sleep, where the user has not said otherwise.
PATIENT = {n: os.environ.get(n, v) for n, v in (("OMP_WAIT_POLICY", "PASSIVE"), ("KMP_BLOCKTIME", "0"))}

#: Quiet frameworks; the run's own choices (threads, devices) pass through the environment untouched.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")}


@dataclasses.dataclass(frozen=True)
class Hello:
    """What a worker said when it opened.

    Attributes:
        status: "ready"; "absent" (the device), "unavailable" (the framework), "malformed" (the adapter), "broken" (it raised),
            "crashed" or "timeout" (the process).
        reason: why, when not ready.
        versions, conventions: of a ready backend.
    """

    status: TargetStatus
    reason: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    conventions: Conventions | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


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

    ``environment``: variables that it gets besides those of this process, and before them.
    """

    def __init__(
        self,
        entry: Entry,
        device: str,
        python: str = sys.executable,
        open_seconds: float = OPEN_SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.entry, self.device, self.python = entry, device, python
        self._environment = dict(environment or {})
        self._open_seconds = open_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._log = tempfile.TemporaryFile()
        self.starts = 0
        try:
            self.hello = self._start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the live worker."""
        return self._process.pid if self._process else None

    def run(self, case: Case, seconds: float = CASE_SECONDS) -> Observation:
        """The case's observation; a crash or a silence is one too, and the next call meets a new process."""
        header, buffers = case.header()
        reply, data, end = self._ask({"do": "run", "case": header}, buffers, seconds)
        if end is None:
            return Observation.from_header(reply, data)
        status, message = end
        return Observation(status, message, tuple(StepResult(status, message) for _ in case.steps))

    def time(
        self, case: Case, options: Mapping[str, Any], seconds: float = CASE_SECONDS
    ) -> tuple[TimingResult | None, Observation]:
        """What was timed of the case's last step, None where it did not end well, and the observation.

        The observation's first step is the observed call; its second, where there is one, holds the outputs of a timed call.
        """
        header, buffers = case.header()
        reply, data, end = self._ask({"do": "time", "case": header, "options": dict(options)}, buffers, seconds)
        if end is not None:
            status, message = end
            return None, Observation(status, message, tuple(StepResult(status, message) for _ in case.steps))
        timing = None if reply["timing"] is None else TimingResult.from_json(reply["timing"])
        return timing, Observation.from_header(reply["observation"], data)

    def roofs(self, options: Mapping[str, Any], seconds: float = CASE_SECONDS) -> Bandwidth:
        """Bandwidths of the device's memory; nothing where there is no answer."""
        reply, _, end = self._ask({"do": "roofs", "options": dict(options)}, [], seconds)
        return Bandwidth.from_json(reply) if end is None else Bandwidth()

    def devices(self) -> dict[str, str]:
        """Each kind of device the backend knows, with its state."""
        reply, _, end = self._ask({"do": "devices"}, [], self._open_seconds)
        return dict(reply["devices"]) if end is None else {self.device: f"{end[0]}: {end[1]}"}

    def stop(self) -> None:
        """End the process."""
        if self._channel is not None:
            with contextlib.suppress(Closed):
                self._channel.send({"do": "stop"})
        self._reap(grace_seconds=5.0)
        self._log.close()

    def _ask(
        self, header: dict[str, Any], buffers: list[bytes], seconds: float
    ) -> tuple[dict[str, Any], list[bytes], tuple[Status, str] | None]:
        """(reply, buffers, None), or (…, (status, message)) when there is no reply."""
        if self._channel is None:
            again = self._start()
            if again.status != "ready":
                return {}, [], ("crashed", f"the worker could not be started again: {again.status}, {again.reason}")
        channel = self._channel
        assert channel is not None
        try:
            channel.send(header, buffers)
            reply, data = channel.receive(seconds)
        except Closed:
            return {}, [], ("crashed", self._obituary())
        except TimedOut:
            self._reap(grace_seconds=0.0)
            return {}, [], ("timeout", f"no answer within {seconds:g} s")
        if "failure" in reply:
            raise HarnessError(
                f"the worker of {self.entry.name} failed.", reply["failure"], "report this with the run."
            )
        return reply, data, None

    def _start(self) -> Hello:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, **QUIET, "PYTHONUNBUFFERED": "1", **self._environment}
        # an empty entry, as ":/folder" has one, stands for the current folder
        listed = environment.get("PYTHONPATH", "").split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(folder for folder in listed if folder)
        command = [
            self.python,
            "-c",
            BEGIN,
            str(theirs.fileno()),
            self.entry.adapter,
            self.device,
            *(["own"] if self.entry.own else []),
        ]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._channel = Channel(ours)
        self.starts += 1
        try:
            details, _ = self._channel.receive(self._open_seconds)
        except Closed:
            return Hello("crashed", self._obituary())
        except TimedOut:
            self._reap(grace_seconds=0.0)
            return Hello("timeout", f"did not open within {self._open_seconds:g} s")
        if problem := another_bnspec(details):
            self._reap(grace_seconds=0.0)
            raise UsageError(
                f"{self.entry.name}: the worker in {self.python} {problem}.",
                f"here is bnspec {bnspec.__version__} with protocol {PROTOCOL}; on that Python's import path is another bnspec.",
                f"install bnspec {bnspec.__version__} there, or take the other one off its PYTHONPATH.",
            )
        if details["status"] != "ready":
            self._reap(grace_seconds=2.0)
        if details["status"] == "malformed":
            raise UsageError(f"{self.entry.name}: {details['reason']}", details["why"], details["fix"])
        conventions = Conventions.from_json(details["conventions"]) if "conventions" in details else None
        return Hello(details["status"], details["reason"], details.get("versions", {}), conventions, details)

    def _obituary(self) -> str:
        """How the process ended, with the last thing it said."""
        self._reap(grace_seconds=2.0)
        code = self._process.returncode if self._process else None
        if code is not None and code < 0:
            ended = f"killed by {signal.Signals(-code).name}"
        else:
            ended = f"ended with status {code}"
        self._log.seek(0)
        said = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return ended + (f"; it said: {said[-1][:200]}" if said else "")

    def _reap(self, grace_seconds: float) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_seconds)
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
