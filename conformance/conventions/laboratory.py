"""The laboratory of experiments: runs cases on a worker, and computes the specification's answers under given conventions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bnspec.model.buffers import dtype_of
from bnspec.model.call import INFERENCE, TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.conventions import DTYPES, HALVES, Conventions
from bnspec.model.layer import LayerConfig
from bnspec.model.observation import Observation, StepResult
from bnspec.model.vocabulary import Tier
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.oracle import Expected, Oracle, State

#: The contract's rule for ``decay``, the weight of the old value, which is measured like a convention.
DECAY_WEIGHS = "decay_weighs"
#: A batch of two values per channel.
PROBE = ((1.0, -2.0), (5.0, 10.0))
#: Per channel: gamma, beta and the initial state, exact in every dtype and far from all defaults.
LAYER = {"gamma": (2.0, -1.5), "beta": (0.5, -3.0), "running_mean": (5.0, -7.0), "running_var": (9.0, 20.0)}


class Runs(Protocol):
    """Protocol of anything that runs a case, such as a worker."""

    def run(self, case: Case) -> Observation:
        """The case's observation."""
        ...


class Lab:
    """Runs each case once, and caches the observations. ``oracles``, by case, may be shared with other labs.

    Attributes:
        declared: the conventions that the adapter declares.
        known: the declared conventions, updated with the inferred values.
        decay_weighs: whether the decay weighs the "old" value (the contract's rule) or the "new" one; "" if neither.
        average_known: whether the rule of the moving average was inferred.
        asked: by id, the cases that the present experiment has asked for.
        only_bare: whether all layers are asked without gamma and beta; see ``Lab.of``.
    """

    def __init__(self, worker: Runs, declared: Conventions, oracles: dict[str, Oracle] | None = None) -> None:
        self.worker, self.declared, self.known = worker, declared, declared
        self.decay_weighs, self.average_known = "old", False
        self.cases: dict[str, Case] = {}
        self._observations: dict[str, Observation] = {}
        self._oracles = {} if oracles is None else oracles
        self.only_bare = False

    @classmethod
    def of(cls, worker: Runs, declared: Conventions, oracles: dict[str, Oracle] | None = None) -> Lab:
        """A lab that asks for layers without gamma and beta, where every other is declined and one without them answers."""
        lab = cls(worker, declared, oracles)
        if declared.affine_optional:
            config = plain_config(declared)
            probes = [layer_case(config, [Step(c, ("x",), fresh=True)], {"x": PROBE}) for c in (TRAINING, INFERENCE)]
            if all(ended(lab._observed(case)).startswith("declined") for case in probes):
                bare = [lab._observed(without_affine(case)) for case in probes]
                lab.only_bare = any(found.steps and not ended(found) for found in bare)
        return lab

    def observe(self, case: Case) -> Observation:
        """The case's observation."""
        case = self.asked_as(case)
        self.cases[case.id] = case
        return self._observed(case)

    def _observed(self, case: Case) -> Observation:
        if case.id not in self._observations:
            self._observations[case.id] = self.worker.run(case)
        return self._observations[case.id]

    def asked_as(self, case: Case) -> Case:
        """The case as it is asked: without gamma and beta where there are layers of no other kind."""
        return without_affine(case) if self.only_bare else case

    def expect(self, case: Case, i: int, before: State, conventions: Conventions) -> dict[str, Expected]:
        """The specification's answers for step i under given conventions and the observed state before the step."""
        case = self.asked_as(case)
        if case.id not in self._oracles:
            self._oracles[case.id] = Oracle(case)
        return self._oracles[case.id].expect(case.steps[i], before, conventions)

    def after(self, case: Case, i: int, before: State, conventions: Conventions, taken: int) -> dict[str, Expected]:
        """``expect`` for a training step after ``taken`` others, under the conventions' rule for the first batch."""
        decay = decay_in_force(case.config.decay, conventions.first_batch, self.decay_weighs or "old", taken)
        return self.expect(with_config(case, decay=decay), i, before, conventions)


def decay_in_force(decay: float, first_batch: str, weighs: str, taken: int) -> float:
    """The weight of the old state in a step after ``taken`` others.

    average     d
    replace     0, then d
    debiased    d (1 - d^t) / (1 - d^(t+1)): the quotients' own average
    """
    d = decay if weighs == "old" else 1.0 - decay
    if first_batch == "average" or d in (0.0, 1.0):
        return d
    if taken == 0:
        return 0.0
    return d if first_batch == "replace" else float(d * (1.0 - d**taken) / (1.0 - d ** (taken + 1)))


def ratio(got: Mapping[str, np.ndarray], expected: Mapping[str, Expected], names: Sequence[str], tier: Tier) -> float:
    """The worst error / bound of these outputs; 0 if none is judged, since that excludes nothing."""
    worst = 0.0
    for name in names:
        if name in expected:
            found = ratios_of(got[name], expected[name], tier) if name in got else np.array([math.inf])
            worst = max(worst, float(np.nanmax(found, initial=0.0)))
    return worst


def results(step: StepResult) -> dict[str, np.ndarray]:
    """Outputs and the state after a step, by name."""
    return {**step.outputs, **step.after}


def ended(observation: Observation) -> str:
    """How the first failed step ended; "" if none failed."""
    return next((f"{s.status}: {s.message}" for s in observation.steps if s.status != "ok"), "")


def said(ratios: Mapping[Any, float]) -> str:
    """error / bound under each alternative, as text."""
    return ", ".join(f"{r:.2g} under {v}" for v, r in ratios.items())


def consistent(ratios: Mapping[Any, float]) -> tuple[Any, ...]:
    """The alternatives under which every result is within its bound."""
    return tuple(v for v, r in ratios.items() if r <= 1.0)


# --- building cases ---------------------------------------------------------------------------------------------------


def plain_config(conventions: Conventions, **changes: Any) -> LayerConfig:
    """The simplest supported layer: two channels, the widest dtype, the fewest axes."""
    dtype = next(d for d in DTYPES if d in conventions.dtypes)
    rank = min(conventions.ranks)
    given: dict[str, Any] = {"rank": rank, "channel_axis": plain_axis(conventions, rank), "channels": 2, "dtype": dtype}
    given |= {"epsilon": 0.5, "decay": 0.75} | changes
    given.setdefault("parameter_dtype", parameter_dtypes(conventions, given["dtype"])[0])
    return LayerConfig(**given)


def plain_axis(conventions: Conventions, rank: int) -> int:
    """A supported channel axis, preferably the first."""
    return 1 if conventions.offers_axis(rank, 1) else rank - 1


def parameter_dtypes(conventions: Conventions, dtype: str) -> tuple[str, ...]:
    """The supported dtypes of parameters with x of this dtype."""
    if dtype not in HALVES:
        return (dtype,)
    return tuple(dtype if p == "input" else p for p in conventions.half_parameters) or ("float32",)


def with_config(case: Case, **changes: Any) -> Case:
    """The case with another configuration."""
    return case.with_(config=dataclasses.replace(case.config, **changes))


def without_affine(case: Case) -> Case:
    """The same case of a layer without gamma and beta."""
    arrays = {name: array for name, array in case.arrays.items() if name not in ("gamma", "beta")}
    return case.with_(config=dataclasses.replace(case.config, affine=False), arrays=arrays)


def laid(config: LayerConfig, rows: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Values given as (count, C), laid out as x of the configuration's rank, with all values on one axis."""
    values = np.asarray(rows, np.float64).reshape(-1, config.channels)
    along = config.reduce_axes[0]
    shape = [1] * config.rank
    shape[along], shape[config.channel_axis] = values.shape
    values = values if along < config.channel_axis else values.T
    return np.ascontiguousarray(values.reshape(shape)).astype(dtype_of(config.dtype))


def layer_arrays(config: LayerConfig, **changes: Sequence[float]) -> dict[str, np.ndarray]:
    """gamma, beta and the state, in the parameters' dtype; without affine only the state."""
    names = LAYER if config.affine else ("running_mean", "running_var")
    return {n: np.array(changes.get(n, LAYER[n]), dtype_of(config.parameter_dtype)) for n in names}


def layer_case(config: LayerConfig, steps: Sequence[Step], inputs: Mapping[str, Any], **state: Sequence[float]) -> Case:
    """A case with these inputs, each given as (count, C) values."""
    arrays = {n: laid(config, rows) for n, rows in inputs.items()}
    return Case("batch_norm", config, {**layer_arrays(config, **state), **arrays}, tuple(steps))
