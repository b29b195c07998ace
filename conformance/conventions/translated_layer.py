"""One layer of a translation on its backend: its results, and the specification's answers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from bnspec.conformance.conventions.laboratory import Lab, Runs, ended, results, with_config
from bnspec.conformance.conventions.translated_cases import case_of
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES, Conventions
from bnspec.model.observation import Observation
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import Tier
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.oracle import Expected, effective_epsilon
from bnspec.translation.parts import LayerValues


@dataclasses.dataclass(frozen=True, eq=False)
class Party:
    """A backend in a translation. Equal layers are run and answered for once.

    Attributes:
        worker: runs its cases; conventions: in force; gradients: whether it computes any.
        known: the layers so far, by the id of their case.
    """

    worker: Runs
    conventions: Conventions
    gradients: bool = True
    known: dict[str, TranslatedLayer] = dataclasses.field(default_factory=dict)

    def built(self, layer: LayerValues, arrays: Mapping[str, np.ndarray], steps: tuple[Step, ...]) -> TranslatedLayer:
        """The layer on this backend."""
        made = TranslatedLayer(self, layer, arrays, steps)
        return self.known.setdefault(made.case.id, made)


class TranslatedLayer:
    """One layer on one backend."""

    def __init__(self, party: Party, layer: LayerValues, arrays: Mapping[str, np.ndarray], steps: tuple[Step, ...]):
        self.party, self.layer = party, layer
        self.case: Case = case_of(party.conventions, layer, arrays, steps)
        self.lab = Lab(party.worker, party.conventions)
        self.epsilon = effective_epsilon(layer.epsilon, party.conventions)

    @functools.cached_property
    def observation(self) -> Observation:
        """The observation of the case."""
        return self.lab.observe(self.case)

    @property
    def dtypes(self) -> str:
        """The dtype of x, and that of the parameters where it is another."""
        layer = self.layer
        same = layer.dtype == layer.parameter_dtype
        return layer.dtype if same else f"{layer.dtype} with {layer.parameter_dtype} parameters"

    def problem(self) -> str:
        """How a step did not end well, or nothing."""
        return ended(self.observation)

    @property
    def declines(self) -> bool:
        """Whether the backend does not offer such a layer or call, and fails in nothing else."""
        return {s.status for s in self.observation.steps} <= {"ok", "declined", "not_run"}

    def got(self, i: int) -> dict[str, np.ndarray]:
        """Outputs and state after step i."""
        return results(self.observation.steps[i])

    @functools.cache  # noqa: B019  # the layer exists as long as its proof
    def expected(self, i: int) -> dict[str, Expected]:
        """The specification's answers for step i, from the observed state before it."""
        before, step, conventions = self.observation.steps[i].before, self.case.steps[i], self.party.conventions
        if step.call.mode != "training":
            return self.lab.expect(self.case, i, before, conventions)
        taken = sum(s.call.mode == "training" for s in self.case.steps[:i])
        answers = self.lab.after(self.case, i, before, conventions, taken)
        kind = self.case.arrays["running_mean"].dtype.name
        if (
            kind != self.case.config.parameter_dtype
        ):  # a framework may store its state in a dtype other than that of gamma and beta
            state = self.lab.after(with_config(self.case, parameter_dtype=kind), i, before, conventions, taken)
            answers |= {n: state[n] for n in ("running_mean", "running_var") if n in state}
        return answers

    @functools.cached_property
    def own_deviations(self) -> tuple[str, ...]:
        """The results that are not within their bound of what this backend's own conventions ask, whatever another one gives."""
        found: dict[str, None] = {}
        for i in range(len(self.case.steps)):
            answers, got = self.expected(i), self.got(i)
            for name in (n for n in got if n in answers and n not in found):
                if np.nanmax(ratios_of(got[name], answers[name], self.tier), initial=0.0) > 1.0:
                    found[name] = None
        return tuple(found)

    @property
    def tier(self) -> Tier:
        """The class of bounds: that of a MUST, in half precision that of a SHOULD."""
        return "permissive" if self.layer.dtype in HALVES else "lenient"

    def bound(self, i: int, name: str) -> np.ndarray:
        """The bound of each element of an output of step i."""
        expected = self.expected(i)[name]
        return np.broadcast_to(expected.bounds[self.tier], expected.value.shape)

    def held(self, name: str) -> np.ndarray:
        """An initial array of the layer, in float64; ones or zeros for absent gamma or beta."""
        array = self.case.arrays.get(name)
        if array is None:
            return np.full(self.case.config.channels, 1.0 if name == "gamma" else 0.0)
        return array.astype(np.float64)

    def roundoff(self, name: str) -> float:
        """The unit roundoff of an array's dtype."""
        array = self.case.arrays.get(name)
        return PRECISIONS[self.layer.parameter_dtype if array is None else array.dtype.name].unit_roundoff
