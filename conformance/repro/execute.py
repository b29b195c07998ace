"""Running a script in a process of its own, in an empty folder and with no other on its path than the installed packages."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.homes import home_of
from bnspec.backends.harness.registry import registered, select
from bnspec.conformance.repro.script import writers
from bnspec.model.names import base_of
from bnspec.reports.run.records import Finding

#: Seconds: importing a framework and a few small calls.
SECONDS = 180.0
#: Runs, at most, of a script that does not reproduce.
RUNS = 5
#: Quiet frameworks, JAX in 64-bit mode, Keras on TensorFlow unless the backend's name says another; for findings of the CPU no other device is in sight.
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_ENABLE_X64": "1"}
KERAS_BACKENDS = ("jax", "numpy", "openvino", "tensorflow", "torch")
CPU_ONLY = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}

#: How a script ended.
RunStatus = Literal["reproduced", "not reproduced", "failed"]


@dataclass(frozen=True)
class Outcome:
    """How a script ended.

    Attributes:
        status: "reproduced", "not reproduced", or "failed": it ended before it printed what it got.
        exit_status: of the process; None when it was stopped after ``SECONDS``.
        output: what it printed, errors after the rest.
        runs: how often it was run: a deviation that hangs on what lies in freed memory comes now and then.
    """

    status: RunStatus
    exit_status: int | None
    output: str
    seconds: float
    runs: int = 1


def run_again(path: Path, finding: Finding, runs: int = RUNS) -> Outcome:
    """Run it until it reproduces, fails, or has been run so often."""
    for run in range(1, runs + 1):
        outcome = dataclasses.replace(run_script(path, finding), runs=run)
        if outcome.status != "not reproduced":
            break
    return outcome


def run_script(path: Path, finding: Finding, seconds: float = SECONDS) -> Outcome:
    """Run it. A finding of a crash is reproduced by a death, one of a time-out by silence; any other by exit status 1."""
    hidden = CPU_ONLY if finding.device == "cpu" else {}
    package, *below = base_of(finding.backend).split(".")
    named = [n for n in below if n in KERAS_BACKENDS] if package == "keras" else []
    chosen = {"KERAS_BACKEND": named[0]} if named else {}
    chosen |= said_variables(finding)
    started = time.perf_counter()
    try:
        inherited, call = interpreter(finding.backend)
        environment, command = {**inherited, **ENVIRONMENT, **hidden, **chosen}, [*call, str(path.resolve())]
        with tempfile.TemporaryDirectory(prefix="bnspec-repro-", ignore_cleanup_errors=True) as folder:
            end = subprocess.run(
                command, env=environment, cwd=folder, capture_output=True, timeout=seconds, check=False
            )
    except NotBuilt as reason:
        return Outcome("failed", None, reason.reason, time.perf_counter() - started)
    except subprocess.TimeoutExpired as late:
        status: RunStatus = "reproduced" if finding.verdict == "timeout" else "failed"
        before = late.stdout.decode(errors="replace") if late.stdout else ""
        return Outcome(status, None, f"{before}stopped after {seconds:.0f} s", time.perf_counter() - started)
    elapsed = time.perf_counter() - started
    said = end.stdout.decode(errors="replace")
    output = said + end.stderr.decode(errors="replace")
    asserted = any(line.startswith("got") for line in said.splitlines())
    if finding.verdict == "crashed" and end.returncode < 0:
        status = "reproduced"
    elif not asserted or end.returncode not in (0, 1):
        status = "failed"
    else:
        status = "reproduced" if end.returncode == 1 else "not reproduced"
    return Outcome(status, end.returncode, output, elapsed)


def said_variables(finding: Finding) -> dict[str, str]:
    """The variables with which a script says that it is to be run."""
    writer = writers().get(base_of(finding.backend))
    words = shlex.split(writer.environment) if writer is not None and finding.device == "cpu" else []
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def interpreter(backend: str) -> tuple[Mapping[str, str], list[str]]:
    """The variables and the call of the Python that a backend's scripts run in. Raises NotBuilt: its environment cannot be had.

    The folder of a script is not on its path: a file of anybody there may have the name of a module. Packages on PYTHONPATH are
    the user's own choice; in an environment they would be those of another Python.
    """
    found = [e for e in select([backend]) if e.name == backend] if backend_is_registered(backend) else []
    home = home_of(found[0]) if found else None
    if home is None:
        return os.environ, [sys.executable, "-P"]
    return home.variables, [home.environment.python, "-I"]


def backend_is_registered(backend: str) -> bool:
    """Whether a name is that of a backend that is here, in an environment or without; a run may be of another machine."""
    return any(e.name == base_of(backend) for e in registered())
