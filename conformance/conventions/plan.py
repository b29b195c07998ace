"""All experiments in order, the unobservable fields, and the inference of a backend's conventions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bnspec.conformance.conventions.degenerate import CountOne, EmptyBatch
from bnspec.conformance.conventions.experiment import Experiment
from bnspec.conformance.conventions.features import (
    AffineOptional,
    ChannelAxes,
    Dtypes,
    GradientModes,
    HalfParameters,
    Layouts,
    Ranks,
)
from bnspec.conformance.conventions.half_precision import HalfPrecision, OutputDtype
from bnspec.conformance.conventions.initial_state import Frozen, InitialState, StateDtype
from bnspec.conformance.conventions.input_normalization import InputEpsilon, InputNormalization
from bnspec.conformance.conventions.laboratory import DECAY_WEIGHS, Lab, Runs
from bnspec.conformance.conventions.moving_average import Averaging, DecayDtype, RunningCorrection
from bnspec.conformance.conventions.normalisation import EpsilonDtype, EpsilonMinimum, NormalisingCorrection
from bnspec.conformance.conventions.outcome import Outcome, hidden
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Oracle

#: Each may use the results of earlier ones: the moving average comes first.
EXPERIMENTS: tuple[Experiment, ...] = (
    Averaging(),
    RunningCorrection(),
    DecayDtype(),
    EpsilonDtype(),
    EpsilonMinimum(),
    NormalisingCorrection(),
    CountOne(),
    EmptyBatch(),
    HalfPrecision(),
    OutputDtype(),
    Dtypes(),
    HalfParameters(),
    Ranks(),
    ChannelAxes(),
    Layouts(),
    AffineOptional(),
    GradientModes(),
    InputNormalization(),
    InputEpsilon(),
    InitialState(),
    StateDtype(),
    Frozen(),
)

_GIVEN = "an adapter passes {0} to the layer explicitly, so the framework's default is not observed"
#: Fields that cannot be observed through the contract, with the reason.
NOT_OBSERVABLE: Mapping[str, str] = {
    "momentum_weighs": "the contract speaks of decay; which number the framework takes stays inside the adapter",
    "default_epsilon": _GIVEN.format("its epsilon"),
    "default_decay": _GIVEN.format("its decay"),
    "checks_arguments": "malformed calls are not made where it is not declared; where it is, bnspec verify --clause errors asks",
    "root_roundings": "a property of the device that its maker states; bounds are judged by it, not the other way round",
    "not_repeatable": "documented by the framework; that bits are equal a few times does not show that they always are",
    "programs_apart": "how calls are compiled is not seen in their results",
    "integers": "a choice of what is asked: a framework that is given integers may refuse them",
    "input_missing": "documented by the framework; where it is not, NaN in a training set is not asked about",
    "mutable_tensors": "no call of the contract writes into a tensor as a user would",
}


@dataclasses.dataclass(frozen=True)
class Inference:
    """The inferred conventions of a backend.

    Attributes:
        declared: the adapter's conventions.
        outcomes: in the order of Conventions' fields; the rule of the decay comes first.
        cases: by field, those that its experiment ran.
        known: the declared conventions, updated with every inferred value.
        differences: the outcomes that contradict the declaration.
    """

    declared: Conventions
    outcomes: tuple[Outcome, ...]
    cases: Mapping[str, tuple[Case, ...]] = dataclasses.field(default_factory=dict)

    def declaration(self, field: str) -> Any:
        """The adapter's declaration; for the decay, the contract's rule."""
        return "old" if field == DECAY_WEIGHS else getattr(self.declared, field)

    @property
    def known(self) -> Conventions:
        return learnt(self.declared, self.outcomes)

    @property
    def differences(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if o.agreement(self.declaration(o.field)) == "differs")


def infer(worker: Runs, declared: Conventions, oracles: dict[str, Oracle] | None = None) -> Inference:
    """Run every experiment on a worker; ``oracles``, by case, may be shared by several inferences."""
    lab, found = Lab.of(worker, declared, oracles), {}
    cases: dict[str, tuple[Case, ...]] = {}
    for experiment in EXPERIMENTS:
        lab.cases = {}
        outcomes = list(experiment.run(lab))
        found.update({o.field: o for o in outcomes})
        cases.update({o.field: tuple(lab.cases.values()) for o in outcomes})
        lab.known = learnt(declared, tuple(found.values()))
    found.update({field: hidden(field, reason) for field, reason in NOT_OBSERVABLE.items()})
    order = [DECAY_WEIGHS, *(f.name for f in dataclasses.fields(Conventions))]
    return Inference(declared, tuple(found[field] for field in order), cases)


def learnt(declared: Conventions, outcomes: tuple[Outcome, ...]) -> Conventions:
    """The declared conventions, updated with inferred values; a declared number is kept if it explains the observations too."""
    fields = {f.name for f in dataclasses.fields(Conventions)}
    changes = {
        o.field: o.value
        for o in outcomes
        if o.is_inferred and o.field in fields and o.value != () and not o.admits(getattr(declared, o.field))
    }
    return dataclasses.replace(declared, **changes)
