"""Ray as the engine: each unit is a task with its resources, run again where its machine is lost.

Ray is imported when it is asked for. A task's function is sent to the machines as it is (``unit.py``), so that the Python of
Ray's own workers needs no bnspec where ``--unit-python`` names one that has it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bnspec.backends.harness.interruption import check
from bnspec.conformance.cluster import unit as unit_module
from bnspec.conformance.cluster.plan import Resources, Unit, described
from bnspec.conformance.cluster.run import Returned
from bnspec.errors import HarnessError, UsageError

#: How often a unit is run again where its machine or its process is lost.
RETRIES = 5
#: Tasks that Ray holds at a time; seconds between two looks at signals; and for tasks to end when the run is stopped.
AT_A_TIME, LOOK_SECONDS, STOP_SECONDS = 2000, 0.3, 4.0


class OnRay:
    """Units on a Ray cluster.

    Args:
        on: ``ray``: a Ray of its own on this machine; ``ray://HOST:PORT``: a cluster by its client port; ``ray:auto`` or
            ``ray:HOST:PORT``: the cluster that this machine belongs to.
        python: of the units; None: that of Ray's workers.
        runtime_env: a file with a runtime environment of Ray as JSON; None: none.
    """

    def __init__(self, on: str, python: str | None = None, runtime_env: Path | None = None) -> None:
        self.on, self.python = on, python
        self.environment = _environment(runtime_env)
        self._ray: Any = None
        self._pending: dict[Any, Unit] = {}
        self._said = contextlib.ExitStack()

    @property
    def address(self) -> str:
        """The cluster as Ray names it."""
        if self.on == "ray":
            return "local"
        return self.on if self.on.startswith("ray://") else self.on.removeprefix("ray:")

    def __enter__(self) -> OnRay:
        self._ray = _imported()
        self._said.enter_context(contextlib.redirect_stdout(sys.stderr))  # what Ray says of lost machines
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        more: dict[str, Any] = {"include_dashboard": False} if self.address == "local" else {}
        try:
            self._ray.init(
                self.address, runtime_env=self.environment, log_to_driver=False, logging_level="ERROR", **more
            )
        except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
            self._said.close()
            said = " ".join(str(error).split())[:300]
            raise HarnessError(
                f"there is no Ray at {self.on}.",
                f"{type(error).__name__}: {said}.",
                "check the address, and that the cluster has this version of Ray and of Python.",
            ) from None
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():  # Ray has put its own there
                signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        for ref in self._pending:
            with contextlib.suppress(Exception):  # it ended meanwhile
                self._ray.cancel(ref, force=False)
        while self._pending and time.monotonic() < deadline:  # a unit that is cancelled ends its process
            ended, _ = self._ray.wait(list(self._pending), timeout=0.1)
            for ref in ended:
                del self._pending[ref]
        self._pending.clear()
        self._ray.shutdown()
        self._said.close()

    def results(self, units: Sequence[Unit]) -> Iterator[Returned]:
        """See ``Engine``. Raises HarnessError also where no machine of this Ray can hold a unit."""
        self._refuse_too_large(units)
        self._ray.cloudpickle.register_pickle_by_value(unit_module)
        task = self._ray.remote(unit_module.run_away)
        waiting = iter(units)
        while True:
            for unit in islice(waiting, AT_A_TIME - len(self._pending)):
                self._pending[self._submitted(task, unit)] = unit
            if not self._pending:
                return
            check()
            ended, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=LOOK_SECONDS)
            for ref in ended:
                yield self._returned(ref)

    def _submitted(self, task: Any, unit: Unit) -> Any:
        need = unit.resources
        asked = task.options(
            num_cpus=need.cpus,
            num_gpus=need.gpus,
            memory=need.memory_bytes,
            resources={need.label: 0.001} if need.label else None,
            max_retries=RETRIES,
            retry_exceptions=True,
            name=f"bnspec unit {unit.number}",
        )
        return asked.remote(self.python, list(unit.arguments))

    def _returned(self, ref: Any) -> Returned:
        unit = self._pending[ref]
        try:
            status, said, data, node = self._ray.get(ref)
        except Exception as error:  # noqa: BLE001  # whatever Ray or the task raises: the unit is lost
            raise HarnessError(
                f"unit {unit.number} ({unit.backend}@{unit.device}, shard {unit.shard}) was lost {RETRIES + 1} times.",
                " ".join(f"{type(error).__name__}: {error}".split())[-600:],
                "see to the machines; then go on with --resume.",
            ) from None
        del self._pending[ref]
        return Returned(unit, status, said, data, node)

    def _refuse_too_large(self, units: Sequence[Unit]) -> None:
        """On this machine alone nothing will come that holds a unit; a cluster may grow."""
        if self.address != "local":
            return
        there = self._ray.cluster_resources()
        for unit in {u.resources: u for u in units}.values():
            if not fits(unit.resources, there):
                raise UsageError(
                    f"a unit of {unit.backend}@{unit.device} does not fit on this machine.",
                    f"it asks for {described([unit])}; Ray sees {there.get('CPU', 0):g} cores, {there.get('GPU', 0):g} GPUs "
                    f"and {there.get('memory', 0) / 2**30:.3g} GiB here.",
                    "use fewer --jobs or less memory, or name a cluster.",
                )


def fits(need: Resources, there: dict[str, float]) -> bool:
    """Whether resources of Ray, by name, hold what a unit needs."""
    asked = {"CPU": need.cpus, "GPU": need.gpus, "memory": need.memory_bytes or 0}
    asked |= {need.label: 0} if need.label else {}
    return all(there.get(name, 0.0) >= amount for name, amount in asked.items()) and (
        need.label is None or need.label in there
    )


def _imported() -> Any:
    """Ray. Raises UsageError: it is not installed."""
    try:
        import ray
        import ray.cloudpickle
    except ImportError as error:
        raise UsageError(
            "--on ray needs Ray.", f"it cannot be imported: {error}.", "python -m pip install 'bnspec[ray]'"
        ) from None
    return ray


def _environment(file: Path | None) -> dict[str, Any] | None:
    """A runtime environment from a file. Raises UsageError: it is no object of JSON."""
    if file is None:
        return None
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read.", f"{error}.", "give a file with a JSON object.") from None
    if not isinstance(found, dict):
        raise UsageError(f"{file} is no runtime environment.", "it holds no JSON object.", "see Ray's runtime_env.")
    return found
