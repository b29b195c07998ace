"""All experiments in their order, the fields that none can reach, and what they make of a backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bnspec.conformance.conventions.degenerate import CountOne, EmptyBatch
from bnspec.conformance.conventions.experiment import Experiment
from bnspec.conformance.conventions.features import AffineOptional, ChannelAxes, Dtypes, HalfParameters, Layouts, Ranks
from bnspec.conformance.conventions.half_precision import HalfPrecision, OutputDtype
from bnspec.conformance.conventions.initial_state import Frozen, InitialState, StateDtype
from bnspec.conformance.conventions.input_normalization import InputEpsilon, InputNormalization
from bnspec.conformance.conventions.laboratory import DECAY_WEIGHS, Lab, Runs
from bnspec.conformance.conventions.moving_average import Averaging, DecayDtype, RunningCorrection
from bnspec.conformance.conventions.normalisation import EpsilonDtype, EpsilonMinimum, NormalisingCorrection
from bnspec.conformance.conventions.outcome import Outcome, hidden
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Oracle

#: Each may use what those before it found: the moving average comes first.
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
    InputNormalization(),
    InputEpsilon(),
    InitialState(),
    StateDtype(),
    Frozen(),
)

_GIVEN = "an adapter hands the layer {0}: what a user gets who gives none is not asked"
#: Fields that the contract does not let one observe, with the reason.
NOT_OBSERVABLE: Mapping[str, str] = {
    "momentum_weighs": "the contract speaks of decay; which number the framework takes stays inside the adapter",
    "default_epsilon": _GIVEN.format("its epsilon"),
    "default_decay": _GIVEN.format("its decay"),
    "checks_arguments": "malformed calls are not made where it is not declared; where it is, bnspec verify --clause errors asks",
    "mutable_tensors": "no call of the contract writes into a tensor as a user would",
}


@dataclasses.dataclass(frozen=True)
class Inference:
    """What the experiments made of a backend.

    Attributes:
        declared: the adapter's conventions.
        outcomes: in the order of Conventions's fields; the law of the decay comes first.
        known: the declared conventions with every inferred value put in its place.
        differences: the outcomes that the declaration does not survive.
    """

    declared: Conventions
    outcomes: tuple[Outcome, ...]

    def declaration(self, field: str) -> Any:
        """What the adapter declares; of the decay, what the contract demands."""
        return "old" if field == DECAY_WEIGHS else getattr(self.declared, field)

    @property
    def known(self) -> Conventions:
        return learnt(self.declared, self.outcomes)

    @property
    def differences(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if o.agreement(self.declaration(o.field)) == "differs")


def infer(worker: Runs, declared: Conventions, oracles: dict[str, Oracle] | None = None) -> Inference:
    """Make every experiment on a worker; ``oracles``, by case, may be shared by several inferences."""
    lab, found = Lab(worker, declared, oracles), {}
    for experiment in EXPERIMENTS:
        found.update({o.field: o for o in experiment.run(lab)})
        lab.known = learnt(declared, tuple(found.values()))
    found.update({field: hidden(field, reason) for field, reason in NOT_OBSERVABLE.items()})
    order = [DECAY_WEIGHS, *(f.name for f in dataclasses.fields(Conventions))]
    return Inference(declared, tuple(found[field] for field in order))


def learnt(declared: Conventions, outcomes: tuple[Outcome, ...]) -> Conventions:
    """The declared conventions with what was inferred; a number keeps its declaration where that explains as well."""
    fields = {f.name for f in dataclasses.fields(Conventions)}
    changes = {
        o.field: o.value
        for o in outcomes
        if o.is_inferred and o.field in fields and o.value != () and not o.admits(getattr(declared, o.field))
    }
    return dataclasses.replace(declared, **changes)
