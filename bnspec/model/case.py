"""A case: one layer, its parameters and state, and a sequence of calls, as plain data.

A case can be run, saved, replayed and mailed. Its steps are calls on the layer, in order; a step marked ``fresh`` first
rebuilds the layer from the case's arrays, so one case holds several independent tests of one shape (frameworks that
compile pay per shape). Such a step may change the layer's parameters or epsilon: a relation between two layers is therefore
one case, and so is a history of training, saving, copying and malformed calls.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import zlib
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from bnspec.errors import UsageError
from bnspec.model.buffers import overlap, pack, unpack
from bnspec.model.call import CALLS, FREEZE, SAVE_RESTORE, TRAINING, TRAINING_GRADIENTS, UNFREEZE, Call, call_named
from bnspec.model.layer import LayerConfig
from bnspec.model.saved_case import read
from bnspec.model.vocabulary import NETWORKS, SUBJECTS, CaseSubject, NetworkKind

SCHEMA = "bnspec-case/1"
#: A case of more elements, in all its arrays, is large: of few what was made of it is kept.
SMALL_ELEMENTS = 1 << 13
#: Separates an array's name from the operation applied to it: "x|twice" is x, twice. See bnspec/model/relations.py.
SEPARATOR = "|"
PARAMETERS = ("gamma", "beta", "running_mean", "running_var")
#: The relation of a step on x of an integer dtype to the step on the same numbers in floating point.
INTEGERS = "integers"
#: The relation of a fit on a training set with missing values to the values that are there.
MISSING = "missing"
#: Settings that a step may override when it builds a layer: names of arrays, and numbers.
SETTINGS = ("epsilon", "decay", "rank", "channel_axis")
#: Two more overrides, outside the configuration: the number of threads a layer may use, and a start from the framework's
#: own initial parameters and state.
SURROUNDINGS = ("threads", "initial")


@dataclasses.dataclass(frozen=True)
class Step:
    """One call, the names of its input arrays, and whether the layer is rebuilt first.

    ``fit`` takes any number of arrays (the chunks); the other calls take as many as ``Call.inputs`` names.

    Attributes:
        options: pairs of a name and a value. For a fresh step, overrides of its layer: a parameter (the name of another
            array) or one of ``SETTINGS`` and ``SURROUNDINGS``. For ``set_decay``, the new decay; for ``..._some_gradients``,
            the "wanted" gradients, as "dx dgamma". "relation": how the step's results follow from those of the step "to". "repeats": the how-manieth
            repetition of an earlier step it is; it is then asked whether it repeats, and nothing else.
        refused: the call is malformed on purpose, so an error is the correct result.
    """

    call: Call
    inputs: Tuple[str, ...] = ()
    fresh: bool = False
    options: Tuple[Tuple[str, Any], ...] = ()
    refused: bool = False

    def option(self, name: str, default: Any = None) -> Any:
        """The value of an option."""
        return dict(self.options).get(name, default)

    @property
    def takes_integers(self) -> bool:
        """Whether x has an integer dtype, which a framework need not accept."""
        return self.option("relation") == INTEGERS

    @property
    def has_missing(self) -> bool:
        """Whether NaN in a training set stands for missing values, which a framework need not offer."""
        return self.option("relation") == MISSING

    def to_json(self) -> Dict[str, Any]:
        """The step as JSON-ready data, without default values."""
        data: Dict[str, Any] = {"call": self.call.name, "inputs": list(self.inputs), "fresh": self.fresh}
        if self.options:
            data["options"] = dict(self.options)
        if self.refused:
            data["refused"] = True
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        """The inverse of ``to_json``."""
        options = tuple((str(k), v) for k, v in dict(data.get("options", {})).items())
        return cls(
            call_named(data["call"]),
            tuple(data["inputs"]),
            bool(data["fresh"]),
            options,
            bool(data.get("refused", False)),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One layer and a sequence of calls.

    Attributes:
        subject: "batch_norm", "input_norm", "layer_norm" (over the last axis, without state), or "network": the layer inside a
            small network, see ``contract.Network``.
        config: the layer's configuration, without arrays.
        arrays: by name; gamma, beta, running_mean, running_var (for batch_norm; gamma and beta only when affine, and for
            layer_norm gamma and beta alone) of shape (C,), and the inputs that the steps name.
        steps: the calls.
        origin: where the case comes from, for readers: input type, seed, name in the catalogue; and for scripts, how its
            arrays are drawn ("draws", see bnspec/model/draws.py).
    """

    subject: CaseSubject
    config: LayerConfig
    arrays: Mapping[str, np.ndarray]
    steps: Tuple[Step, ...]
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise UsageError(
                "the case is malformed: %s." % problem, "see bnspec/model/case.py for the rules.", "fix the case."
            )

    @functools.cached_property
    def id(self) -> str:
        """Twelve hex digits that identify the case's content (its origin left out)."""
        specs, buffers = self._packed()
        head: Dict[str, Any] = {"subject": self.subject, "config": dataclasses.asdict(self.config), "specs": specs}
        head["steps"] = [s.to_json() for s in self.steps]
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for data in buffers:
            digest.update(data)
        return digest.hexdigest()[:12]

    def _packed(self) -> Tuple[Dict[str, Any], List[bytes]]:
        """The arrays as ``pack`` gives them; of a small case they are kept, for it is sent to many processes."""
        known = self.__dict__.get("_kept")
        if known is None:
            known = pack(self.arrays)
            if self.elements <= SMALL_ELEMENTS:
                self.__dict__["_kept"] = known
        return known

    @property
    def elements(self) -> int:
        """Elements of all arrays."""
        return sum(array.size for array in self.arrays.values())

    @property
    def count(self) -> int:
        """Elements per channel of the first step's first input."""
        first = next((s.inputs[0] for s in self.steps if s.inputs), None)
        return 0 if first is None else self.arrays[first].size // max(self.config.channels, 1)

    def overrides(self, i: int, performed: Callable[[int], bool] = lambda j: True) -> Tuple[Tuple[str, Any], ...]:
        """The settings of step i's layer that differ from the case's: overrides when it was built, and a later decay.

        Args:
            performed: whether an earlier step was performed, so that its setting is in force.
        """
        start = self.built_at(i)
        given = {k: v for k, v in self.steps[start].options if k in PARAMETERS or k in SETTINGS}
        if self.steps[start].option("initial"):
            given["initial"] = True
        decay = self.settings_at(i, performed)[0]
        if decay is not None:
            given["decay"] = decay
        return tuple(sorted(given.items()))

    def settings_at(self, i: int, performed: Callable[[int], bool] = lambda j: True) -> Tuple[Optional[float], bool]:
        """The decay set on step i's layer since it was built (None: none was set), and whether the layer is frozen.

        A copy starts with the settings of its original; from then on the two have separate settings.
        """
        here: Tuple[Optional[float], bool] = (None, False)
        if not self._has_settings:
            return here
        there = here
        for j in range(self.built_at(i), i):
            step = self.steps[j]
            if not performed(j):
                continue
            if step.call.kind == "set_decay":
                here = (step.option("decay"), here[1])
            elif step.call in (
                FREEZE,
                UNFREEZE,
                SAVE_RESTORE,
            ):  # a checkpoint does not store whether the layer is frozen
                here = (here[0], step.call.kind == "freeze")
            elif step.call.kind == "clone":
                there = here
            elif step.call.kind == "swap":
                here, there = there, here
        return here

    @functools.cached_property
    def _has_settings(self) -> bool:
        """Whether a step sets anything on a layer that is there; copies and checkpoints alone set nothing."""
        return any(s.call.kind == "set_decay" or s.call in (FREEZE, UNFREEZE) for s in self.steps)

    def built_at(self, i: int) -> int:
        """The step at which the layer of step i was last built."""
        return self._built_at[i]

    @functools.cached_property
    def _built_at(self) -> Tuple[int, ...]:
        built, last = [], 0
        for j, step in enumerate(self.steps):
            last = j if step.fresh else last
            built.append(last)
        return tuple(built)

    def overridden(self, overrides: Tuple[Tuple[str, Any], ...]) -> Case:
        """The case with these overrides applied (other parameters, another epsilon). Cached, since there are few."""
        if not overrides:
            return self
        known: Dict[Any, Case] = self.__dict__.setdefault("_overridden", {})
        if overrides not in known:
            known[overrides] = self._overridden_by(dict(overrides))
        return known[overrides]

    def _overridden_by(self, given: Dict[str, Any]) -> Case:
        settings = {k: v for k, v in given.items() if k in SETTINGS}
        arrays = dict(self.arrays)
        if given.get("initial"):
            arrays.update({n: np.full_like(arrays[n], n == "gamma") for n in ("gamma", "beta") if n in arrays})
        arrays.update({k: self.arrays[v] for k, v in given.items() if k in PARAMETERS})
        copy = object.__new__(Case)  # its steps may be malformed under other settings; they were checked already
        copy.__dict__.update(
            subject=self.subject,
            config=dataclasses.replace(self.config, **settings),
            arrays=arrays,
            steps=self.steps,
            origin=self.origin,
        )
        return copy

    def with_(self, **changes: Any) -> Case:
        """A copy with other fields."""
        return dataclasses.replace(self, **changes)

    def header(self) -> Tuple[Dict[str, Any], List[bytes]]:
        """The case as JSON-ready data and buffers, as sent to workers."""
        specs, buffers = self._packed()
        data = {
            "schema": SCHEMA,
            "subject": self.subject,
            "config": dataclasses.asdict(self.config),
            "arrays": specs,
            "steps": [s.to_json() for s in self.steps],
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
                tuple(Step.from_json(s) for s in data["steps"]),
                data.get("origin", {}),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise UsageError(
                "the case lacks or misnames %s." % error, "its schema is %s." % SCHEMA, "fix the file."
            ) from None

    def dumps(self) -> str:
        """The case as one JSON document, which also lists small arrays as readable numbers."""
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
        return cls.from_header(*read(text))


def _problem(case: Case) -> str:
    """The problem with a case; "" if there is none."""
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
    for name, array in case.arrays.items():
        if not array.dtype.isnative:  # its name does not say so: it would be read as other numbers
            return "%s has the dtype %s, in the byte order of other machines" % (name, array.dtype.str)
    if case.subject in ("batch_norm", "layer_norm"):
        wanted = PARAMETERS if config.affine else PARAMETERS[2:]
        for name in PARAMETERS[:2] if case.subject == "layer_norm" else wanted:
            if name not in case.arrays:
                return "%s is missing" % name
            if case.arrays[name].shape != (config.channels,):
                return "%s has shape %s, expected (%d,)" % (name, case.arrays[name].shape, config.channels)
    for i, step in enumerate(case.steps):
        problem = _step_problem(case, i, step)
        if problem:
            return problem
    if case.subject == "layer_norm" and config.channel_axis != config.rank - 1:
        return "layer_norm has its features on axis %d, and must have them on the last" % config.channel_axis
    if case.subject == "layer_norm" and any(s.call not in (TRAINING, TRAINING_GRADIENTS) for s in case.steps):
        return "layer_norm is called by training and training_gradients, and by nothing else"
    if case.subject == "network":
        return _network_problem(case)
    return ""


def shares_state(case: Case) -> bool:
    """Whether a parameter shares memory with a running statistic, which training writes to."""
    state = [case.arrays[n] for n in ("running_mean", "running_var") if n in case.arrays]
    return any(overlap(case.arrays[n], s) for n in ("gamma", "beta") if n in case.arrays for s in state)


def network_values(kind: NetworkKind) -> Tuple[str, ...]:
    """The names of a network's values."""
    return ("w1", "b1", *(() if kind.endswith("_plain") else PARAMETERS), "w2", "b2")


def _network_problem(case: Case) -> str:
    """The problem with a network case; "" if there is none."""
    kind = case.steps[0].option("network")
    if kind not in NETWORKS:
        return "the network is %r and must be one of %s" % (kind, ", ".join(NETWORKS))
    values = network_values(kind)
    missing = [n for n in values if n not in case.arrays]
    if missing:
        return "%s missing" % ", ".join(missing)
    if any(case.arrays[n].shape != (case.config.channels,) for n in values[1:-2]):
        return "b1, gamma, beta and the statistics must have shape (%d,)" % case.config.channels
    if any(s.call.kind != "learn" for s in case.steps):
        return "a network learns, and does nothing else"
    return ""


def is_mask(name: str) -> bool:
    """Whether an array of this name is a mask, or derived from one: x's shape, with one channel."""
    return name.partition(SEPARATOR)[0] == "mask"


def _step_problem(case: Case, i: int, step: Step) -> str:
    """The problem with one step; "" if there is none."""
    if step.call not in CALLS.values():
        return "call %r is unknown" % step.call
    if i == 0 and step.call.between:
        return "%s comes before a layer is built" % step.call
    if step.call.kind != "fit" and len(step.inputs) != len(step.call.inputs):
        return "%s takes %d arrays, got %d" % (step.call, len(step.call.inputs), len(step.inputs))
    if step.call.kind == "set_decay" and not 0.0 <= step.option("decay", -1.0) <= 1.0:
        return "set_decay has the decay %r, which must lie in [0, 1]" % step.option("decay")
    if step.call.kind == "some_gradients" and not set(str(step.option("wanted")).split()) & {
        "dx",
        "dgamma",
        "dbeta",
    }:
        return "%s wants %r, which names no gradient" % (step.call, step.option("wanted"))
    named = [*step.inputs, *(v for k, v in step.options if k in PARAMETERS)]
    for name in named:
        if name not in case.arrays:
            return "step %s names the array %r, which is missing" % (step.call, name)
    if step.refused or step.call.kind == "learn":
        return ""
    config = case.overridden(tuple(p for p in case.overrides(i) if p[0] != "initial")).config
    if not 0 <= config.channel_axis < config.rank:
        return "channel_axis %d is outside rank %d" % (config.channel_axis, config.rank)
    for name in step.inputs:
        shape, channels = case.arrays[name].shape, 1 if is_mask(name) else config.channels
        if len(shape) != config.rank or shape[config.channel_axis] != channels:
            return "%s has shape %s; axis %d of %d must have extent %d" % (
                (name, shape) + (config.channel_axis, config.rank, channels)
            )
    for name in (v for k, v in step.options if k in PARAMETERS):
        if case.arrays[name].shape != (config.channels,):
            return "%s has shape %s, expected (%d,)" % (name, case.arrays[name].shape, config.channels)
    along = config.reduce_axes[0] if step.call.kind == "fit" else None  # chunks may differ in their number of rows
    # the batch between a forward pass and its backward pass may have another shape
    alike = step.inputs[:2] if step.call.kind == "late_gradients" else step.inputs
    shapes = {
        tuple(n for a, n in enumerate(case.arrays[name].shape) if a != along) for name in alike if not is_mask(name)
    }
    if len(shapes) > 1:
        return "the arrays of step %s differ in shape" % step.call
    return ""
