"""Observations: the outputs, state and gradients returned by a backend, or how its call ended.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from bnspec.model.buffers import pack, unpack
from bnspec.model.vocabulary import Status


@dataclasses.dataclass(frozen=True, eq=False)
class StepResult:
    """The result of one step.

    Attributes:
        status, message: how it ended, and the reason if not "ok".
        outputs: by name: y; dx, dgamma, dbeta; for input normalization mean, var, y, x.
        before, after: the running statistics before and after the step, by name.
        written: names of arguments and parameters whose bits changed during the call.
        overwritten: pairs (step, name) of results of earlier calls on the same layer whose bits changed during the call.
        aliases: pairs (result, the array it shares memory with).
        overruns: what the call read or wrote outside of its arrays, such as "writes after x".
        addressed: whether the addresses of all of these are known, so that no alias is missing.
    """

    status: Status
    message: str = ""
    outputs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    before: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    after: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    written: Tuple[str, ...] = ()
    overwritten: Tuple[Tuple[int, str], ...] = ()
    aliases: Tuple[Tuple[str, str], ...] = ()
    overruns: Tuple[str, ...] = ()
    addressed: bool = True


@dataclasses.dataclass(frozen=True, eq=False)
class Observation:
    """The result of a case on one target: overall status, and a result for every step.

    ``seconds`` and ``cpu_seconds`` are the worker's wall time and its process's CPU time for the case; a run reports where
    its time went.
    """

    status: Status
    message: str = ""
    steps: Tuple[StepResult, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def header(self) -> Tuple[Dict[str, Any], List[bytes]]:
        """JSON-ready data and buffers, as sent by workers; of one that was read from them, the same."""
        read: Optional[Tuple[Dict[str, Any], List[bytes]]] = self.__dict__.get("_read")
        if read is not None:
            return read
        arrays: Dict[str, np.ndarray] = {}
        steps = []
        for i, step in enumerate(self.steps):
            for group in ("outputs", "before", "after"):
                for name, array in getattr(step, group).items():
                    # a dtype's name does not say its byte order: values in that of other machines are sent in this one's
                    native = array.dtype.newbyteorder("=")
                    arrays["%d/%s/%s" % (i, group, name)] = np.array(array, native, order="C", copy=True)
            steps.append(
                {
                    "status": step.status,
                    "message": step.message,
                    "written": list(step.written),
                    "overwritten": [list(o) for o in step.overwritten],
                    "aliases": [list(a) for a in step.aliases],
                    "overruns": list(step.overruns),
                    "addressed": step.addressed,
                }
            )
        specs, buffers = pack(arrays)
        head = {
            "status": self.status,
            "message": self.message,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "steps": steps,
            "arrays": specs,
        }
        return head, buffers

    @classmethod
    def from_header(cls, data: Mapping[str, Any], buffers: List[bytes]) -> Observation:
        """The inverse of ``header``."""
        groups: List[Dict[str, Dict[str, np.ndarray]]] = [
            {"outputs": {}, "before": {}, "after": {}} for _ in data["steps"]
        ]
        for key, array in unpack(data["arrays"], buffers).items():
            index, group, name = key.split("/", 2)
            groups[int(index)][group][name] = array
        steps = tuple(
            StepResult(
                step["status"],
                step["message"],
                written=tuple(step["written"]),
                overwritten=tuple((i, n) for i, n in step["overwritten"]),
                aliases=tuple((a, b) for a, b in step["aliases"]),
                overruns=tuple(step.get("overruns", ())),
                addressed=step.get("addressed", True),
                **group,
            )
            for step, group in zip(data["steps"], groups)
        )
        made = cls(data["status"], data["message"], steps, data["seconds"], data.get("cpu_seconds", 0.0))
        made.__dict__["_read"] = dict(data), buffers
        return made
