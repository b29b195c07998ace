"""A case: one layer, its parameters and state, and what is done with it, as plain data.

A case can be run, saved, replayed and mailed. Its steps are calls on the layer, in order; a step marked ``fresh`` first
rebuilds the layer from the case's arrays, so one case asks several independent questions of one shape (for frameworks that
compile, the shape is the cost).

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import zlib
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from bnspec.buffers import pack, unpack
from bnspec.contract import LayerConfig
from bnspec.errors import UsageError

SCHEMA = "bnspec-case/1"
CALLS: Dict[str, Tuple[str, ...]] = {
    "training": ("x",),
    "inference": ("x",),
    "training_gradients": ("x", "dy"),
    "inference_gradients": ("x", "dy"),
    "fit": ("chunks",),
    "transform": ("x",),
    "inverse": ("y",),
}
SUBJECTS = ("batch_norm", "input_norm")
PARAMETERS = ("gamma", "beta", "running_mean", "running_var")


@dataclasses.dataclass(frozen=True)
class Step:
    """One call: its name, the names of the arrays it takes, and whether the layer is rebuilt first.

    ``fit`` takes any number of arrays (the chunks); the other calls take what ``CALLS`` says.
    """

    call: str
    inputs: Tuple[str, ...]
    fresh: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One layer and a sequence of calls.

    Attributes:
        subject: "batch_norm" or "input_norm".
        config: what the layer is built from besides arrays.
        arrays: by name; gamma, beta, running_mean, running_var (for batch_norm; gamma and beta only when affine) of shape
            (C,), and the inputs that the steps name.
        steps: the calls.
        origin: where the case comes from, for people: input type, seed, name in the catalogue.
    """

    subject: str
    config: LayerConfig
    arrays: Mapping[str, np.ndarray]
    steps: Tuple[Step, ...]
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise UsageError(
                "the case is malformed: %s." % problem, "see bnspec/case.py for the rules.", "mend the case."
            )

    @functools.cached_property
    def id(self) -> str:
        """Twelve hex digits that identify the case's content (its origin left out)."""
        specs, buffers = pack(self.arrays)
        head: Dict[str, Any] = {"subject": self.subject, "config": dataclasses.asdict(self.config), "specs": specs}
        head["steps"] = [dataclasses.astuple(s) for s in self.steps]
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for data in buffers:
            digest.update(data)
        return digest.hexdigest()[:12]

    @property
    def count(self) -> int:
        """Elements per channel of the first step's first input."""
        x = self.arrays[self.steps[0].inputs[0]]
        return x.size // max(self.config.channels, 1)

    def with_(self, **changes: Any) -> Case:
        """A copy with other fields."""
        return dataclasses.replace(self, **changes)

    def header(self) -> Tuple[Dict[str, Any], List[bytes]]:
        """The case as JSON-ready data and buffers: the form in which it travels."""
        specs, buffers = pack(self.arrays)
        data = {
            "schema": SCHEMA,
            "subject": self.subject,
            "config": dataclasses.asdict(self.config),
            "arrays": specs,
            "steps": [{"call": s.call, "inputs": list(s.inputs), "fresh": s.fresh} for s in self.steps],
            "origin": dict(self.origin),
        }
        return data, buffers

    @classmethod
    def from_header(cls, data: Mapping[str, Any], buffers: List[bytes]) -> Case:
        """The inverse of ``header``. Raises UsageError on malformed data."""
        if data.get("schema") != SCHEMA:
            raise UsageError(
                "the case has schema %r." % data.get("schema"),
                "this version reads %s." % SCHEMA,
                "write the case again.",
            )
        try:
            return cls(
                data["subject"],
                LayerConfig(**data["config"]),
                unpack(data["arrays"], buffers),
                tuple(Step(s["call"], tuple(s["inputs"]), bool(s["fresh"])) for s in data["steps"]),
                data.get("origin", {}),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                "the case lacks or misnames %s." % error, "its schema is %s." % SCHEMA, "mend the file."
            ) from None

    def dumps(self) -> str:
        """The case as one JSON document; small arrays are also listed as numbers for the reader."""
        data, buffers = self.header()
        data["buffers"] = [
            {"nbytes": len(b), "zlib_base64": base64.b64encode(zlib.compress(b)).decode("ascii")} for b in buffers
        ]
        data["values"] = {
            n: a.astype(np.float64).tolist() for n, a in self.arrays.items() if a.size <= 64 and a.dtype.kind not in "c"
        }
        return json.dumps(data, indent=1)

    @classmethod
    def loads(cls, text: str) -> Case:
        """The inverse of ``dumps``. Raises UsageError on anything that is not a saved case."""
        try:
            data = json.loads(text)
            buffers = [zlib.decompress(base64.b64decode(b["zlib_base64"])) for b in data["buffers"]]
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise UsageError(
                "this is not a saved case: %s." % error,
                "a case is a JSON document of schema %s." % SCHEMA,
                "check the path.",
            ) from None
        return cls.from_header(data, buffers)


def _problem(case: Case) -> str:
    """What is wrong with a case, or nothing."""
    config = case.config
    if case.subject not in SUBJECTS:
        return "subject %r is not one of %s" % (case.subject, ", ".join(SUBJECTS))
    if not 0 <= config.channel_axis < config.rank:
        return "channel_axis %d is outside rank %d" % (config.channel_axis, config.rank)
    if not config.epsilon >= 0.0:
        return "epsilon is %r and must be at least 0" % config.epsilon
    if not 0.0 <= config.decay <= 1.0:
        return "decay is %r and must lie in [0, 1]" % config.decay
    if not case.steps:
        return "it has no steps"
    if case.subject == "batch_norm":
        wanted = PARAMETERS if config.affine else PARAMETERS[2:]
        for name in wanted:
            if name not in case.arrays:
                return "%s is missing" % name
            if case.arrays[name].shape != (config.channels,):
                return "%s has shape %s, expected (%d,)" % (name, case.arrays[name].shape, config.channels)
    for step in case.steps:
        if step.call not in CALLS:
            return "call %r is unknown" % step.call
        if step.call != "fit" and len(step.inputs) != len(CALLS[step.call]):
            return "%s takes %d arrays, got %d" % (step.call, len(CALLS[step.call]), len(step.inputs))
        for name in step.inputs:
            if name not in case.arrays:
                return "step %s names the array %r, which is missing" % (step.call, name)
            shape = case.arrays[name].shape
            if len(shape) != config.rank or shape[config.channel_axis] != config.channels:
                return "%s has shape %s; axis %d of %d must have extent %d" % (
                    (name, shape) + (config.channel_axis, config.rank, config.channels)
                )
        if step.call.endswith("_gradients") and case.arrays[step.inputs[0]].shape != case.arrays[step.inputs[1]].shape:
            return "x and dy of step %s differ in shape" % step.call
    return ""
