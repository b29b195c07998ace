"""Proves a translation: source and target run on the same data and agree within both bounds.

Two correct layers that are the same function give results s and t within bound_s and bound_t of the same exact value. So
|s - t| <= bound_s + bound_t for every element, unless one layer is incorrect or the functions differ.

If the translation rounded a number, the two functions differ slightly. The proof then checks that each stored number is a
neighbour of the exact one, and adds the known difference of the two exact values to the allowed difference.

The bounds are those of a MUST; in half precision, where those would admit almost anything, those of a SHOULD in the backend's
inferred precision.

Running statistics after k steps: with b_k the bound of step k from its observed state, B_k = d B_(k-1) + b_k bounds the
distance from the exact trajectory, since a step is linear in the old state with factor d. B_0 is the rounding of the initial
state; a decay in error by e adds e |old - new value|.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bnspec.arithmetic.quad import double
from bnspec.conformance.conventions.laboratory import Runs, decay_in_force
from bnspec.conformance.conventions.translated_cases import batches, layers, moved
from bnspec.conformance.conventions.translated_layer import Party, TranslatedLayer
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.precision import PRECISIONS
from bnspec.translation.parts import LayerValues, Route
from bnspec.translation.translate import translate

SIDES = ("source", "target")
OUTPUTS = ("y", "dx", "dgamma", "dbeta")
RUNNING = ("running_mean", "running_var")
TRAINING_STEPS = 3
IN_INFERENCE = (Step(INFERENCE, ("x0",)), Step(INFERENCE_GRADIENTS, ("x1", "dy1")))
IN_TRAINING = tuple(Step(TRAINING_GRADIENTS, (f"x{t}", f"dy{t}")) for t in range(TRAINING_STEPS))


@dataclasses.dataclass(frozen=True)
class Proof:
    """One layer, translated and run on both backends.

    Attributes:
        layer: its name; exact: whether the translation rounded nothing.
        ratio: the worst |source - target| / allowed difference.
        elements, total: the numbers of compared and of all results; some have no finite bound.
        reason: why there is no proof; "" if there is one. failed: whether a backend failed to run a supported layer.
        worst: the output with the worst ratio.
        deviating: where they do not agree, the sides that are not within their own bounds either, "source" or "target", or that failed.
        holds: whether both backends agree, or there is nothing to prove.
    """

    layer: str
    exact: bool = False
    ratio: float = math.nan
    elements: int = 0
    total: int = 0
    worst: str = ""
    reason: str = ""
    failed: bool = False
    deviating: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.failed and (bool(self.reason) or self.ratio <= 1.0)

    def to_json(self) -> dict[str, Any]:
        """The proof as JSON-ready data; a ratio that is not finite is a word."""
        ratio: Any = None if math.isnan(self.ratio) else self.ratio if math.isfinite(self.ratio) else "inf"
        return {**dataclasses.asdict(self), "ratio": ratio}


@dataclasses.dataclass(frozen=True)
class Proven:
    """All layers, on both routes."""

    inference: tuple[Proof, ...]
    training: tuple[Proof, ...]


def prove(source: Party, target: Party) -> Proven:
    """Translate and run every layer of ``layers``."""
    inference, training = [], []
    for name, layer in layers(source.conventions):
        given = batches(layer, TRAINING_STEPS)
        routes = translate(source.conventions, target.conventions, layer, given.count)
        inference.append(_Comparison(source, target, name, layer, routes.inference).inference())
        training.append(_Comparison(source, target, name, layer, routes.training).training())
    return Proven(tuple(inference), tuple(training))


def cases_between(source: Party, target: Party) -> Iterator[tuple[Case, Case]]:
    """The cases of both sides that ``prove`` runs."""
    for name, layer in layers(source.conventions):
        given = batches(layer, TRAINING_STEPS)
        routes = translate(source.conventions, target.conventions, layer, given.count)
        for route, steps in ((routes.inference, IN_INFERENCE), (routes.training, IN_TRAINING)):
            if route.layer is not None:
                here, there = _Comparison(source, target, name, layer, route).sides(steps)
                yield here.case, there.case


def party_of(worker: Runs, conventions: Conventions) -> Party:
    """A backend as a party, asked whether it computes gradients."""
    party = Party(worker, conventions)
    _, layer = next(layers(conventions))
    asked = party.built(layer, batches(layer, TRAINING_STEPS).arrays, IN_INFERENCE)
    return dataclasses.replace(party, gradients=asked.observation.steps[-1].status != "declined")


class _Comparison:
    """One layer and its translation for one purpose."""

    def __init__(self, source: Party, target: Party, name: str, layer: LayerValues, route: Route) -> None:
        self.parties, self.name, self.layer, self.route = (source, target), name, layer, route
        self.batches = batches(layer, TRAINING_STEPS)
        self.worst: tuple[float, str] = (0.0, "")
        self.handed = True
        self.elements, self.total = 0, 0

    def inference(self) -> Proof:
        """y of two batches and the gradients, in inference."""
        if self.route.layer is None:
            return self.without(self.impossible())
        sides = self.sides(IN_INFERENCE)
        if problem := self.problem(sides):
            return problem
        self.handed_over(*sides, factor=1.0)
        for i in range(len(IN_INFERENCE)):
            self.outputs(*sides, i)
        return self.proof(sides)

    def training(self) -> Proof:
        """y and gradients of three steps, and the running statistics after each."""
        conventions = [p.conventions for p in self.parties]
        if self.route.layer is None:
            return self.without(self.impossible())
        if len({p.first_batch for p in conventions}) > 1:
            return self.without("an adapter builds layers that have taken no step, and this holds after the first only")
        if any(p.normalising_correction for p in conventions):
            return self.without("the specification bounds nothing for a normalising variance with divisor m - 1")
        corrections = [p.running_correction for p in conventions]
        sides = self.sides(IN_TRAINING)
        if problem := self.problem(sides):
            return problem
        factor = 1.0
        if sides[0].case.config.decay != 1.0:
            factor = (self.batches.count - corrections[0]) / (self.batches.count - corrections[1])
        self.handed_over(*sides, factor)
        self.decay_handed_over(*sides)
        for i in range(TRAINING_STEPS):
            self.outputs(*sides, i)
        self.trajectory(*sides, dict(zip(RUNNING, (1.0, factor), strict=True)))
        return self.proof(sides)

    def sides(self, steps: tuple[Step, ...]) -> tuple[TranslatedLayer, TranslatedLayer]:
        """Both layers, each with the batches in its own shape; without gradients, where one side computes none."""
        if not all(p.gradients for p in self.parties):
            steps = tuple(Step(s.call.with_kind("forward"), s.inputs[:1]) for s in steps)
        target = self.route.layer
        assert target is not None
        there = {n: moved(a, self.layer, target) for n, a in self.batches.arrays.items()}
        source, other = self.parties
        return source.built(self.layer, self.batches.arrays, steps), other.built(target, there, steps)

    def handed_over(self, source: TranslatedLayer, target: TranslatedLayer, factor: float) -> None:
        """Check each translated number: exact, or a neighbour in its dtype if the route says "rounded"."""
        rounded = {p.name for p in self.route.by("rounded")}
        for name in ("gamma", "beta", "running_mean"):
            room = target.roundoff(name) * np.abs(source.held(name)) * (name in rounded)
            self.neighbour(name, source.held(name) - target.held(name), room)
        # in inference only the sum of epsilon and running_var is translated; evaluated in float64
        wanted = source.held("running_var") * factor + source.epsilon
        has = target.held("running_var") + target.epsilon
        room = 4.0 * PRECISIONS["float64"].unit_roundoff * (np.abs(wanted) + target.epsilon)
        room = room + target.roundoff("running_var") * np.abs(target.held("running_var")) * ("running_var" in rounded)
        room = room + PRECISIONS["float32"].unit_roundoff * source.epsilon * ("epsilon" in rounded)
        self.neighbour("running_var + epsilon", has - wanted, room)

    def decay_handed_over(self, source: TranslatedLayer, target: TranslatedLayer) -> None:
        """Check the decay in training: within a rounding of the dtype of the framework's number."""
        off = source.case.config.decay - target.case.config.decay
        rounded = any(p.name == "momentum" for p in self.route.by("rounded"))
        kind = self.parties[1].conventions.decay_dtype if rounded else "float64"
        self.neighbour("decay", np.array([off]), np.array([PRECISIONS[kind].unit_roundoff]))

    def outputs(self, source: TranslatedLayer, target: TranslatedLayer, i: int) -> None:
        """y and the gradients of step i."""
        for name in OUTPUTS:
            if name in source.got(i) and name in target.got(i):
                here, there = source.expected(i)[name], target.expected(i)[name]
                room = self.over(source.bound(i, name)) + target.bound(i, name)
                if not self.route.is_exact:
                    room = room + np.abs(double(self.over(here.value) - there.value))
                s, t = (side.got(i)[name].astype(np.float64) for side in (source, target))
                self.count(name, self.over(s) - t, room)

    def trajectory(self, source: TranslatedLayer, target: TranslatedLayer, factors: dict[str, float]) -> None:
        """The running statistics after each step."""
        rounded = {p.name for p in self.route.by("rounded")}
        decays = source.case.config.decay, target.case.config.decay
        for name, factor in factors.items():
            room = target.roundoff(name) * np.abs(target.held(name)) * (name in rounded)
            for i in range(TRAINING_STEPS):
                here = source.expected(i)[name]
                old = source.observation.steps[i].before[name].astype(np.float64)
                kept, other = (decay_in_force(d, self.parties[0].conventions.first_batch, "old", i) for d in decays)
                apart = np.abs(old - here.rounded) / (1.0 - kept) if kept < 1.0 else np.abs(old)
                evaluated = PRECISIONS["float64"].unit_roundoff * np.abs(old) * factor
                own = source.bound(i, name) * factor + target.bound(i, name)
                room = max(kept, other) * room + own + abs(kept - other) * apart * factor + evaluated
                s, t = (side.got(i)[name].astype(np.float64) for side in (source, target))
                self.count(f"{name} after {i + 1} steps", s * factor - t, room)

    def over(self, array: Any) -> Any:
        """An array of the source in the target's shape."""
        assert self.route.layer is not None
        return moved(array, self.layer, self.route.layer)

    def neighbour(self, what: str, difference: np.ndarray, room: np.ndarray) -> None:
        """Check a translated number: outside the allowed difference, the target does not have the source's layer."""
        if not (np.abs(difference) <= room).all():
            self.worst, self.handed = max(self.worst, (math.inf, f"{what}, as handed over")), False

    def count(self, what: str, difference: np.ndarray, room: np.ndarray) -> None:
        """Compare results; elements with an infinite or undefined allowed difference are not judged."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(difference == 0.0, 0.0, np.abs(difference) / room)
        ratios = np.where(np.isfinite(difference), ratios, math.inf)
        judged = ratios[np.isfinite(np.broadcast_to(room, ratios.shape))]
        self.elements, self.total = self.elements + judged.size, self.total + ratios.size
        if judged.size:
            self.worst = max(self.worst, (float(judged.max()), what))

    def impossible(self) -> str:
        """Why there is no translation."""
        return "; ".join(f"{p.name}: {p.reason}" for p in self.route.by("impossible"))

    def problem(self, sides: tuple[TranslatedLayer, TranslatedLayer]) -> Proof | None:
        """Where a backend gave no results: a failure, or no proof where it does not offer such a layer."""
        for word, side in zip(SIDES, sides, strict=True):
            if end := side.problem():
                return self.without(f"the {word} {end}") if side.declines else self.failure(word, end)
        return None

    def without(self, reason: str) -> Proof:
        """A proof without a comparison, for this reason."""
        return Proof(self.name, self.route.is_exact, reason=reason)

    def failure(self, side: str, end: str) -> Proof:
        """A proof that failed because a backend failed on a supported layer."""
        reason = f"the {side} failed: {end}"
        return Proof(self.name, self.route.is_exact, reason=reason, failed=True, deviating=(side,))

    def proof(self, sides: tuple[TranslatedLayer, TranslatedLayer]) -> Proof:
        """The result of the comparison."""
        made = Proof(self.name, self.route.is_exact, self.worst[0], self.elements, self.total, self.worst[1])
        if made.holds or not self.handed:
            return made
        return dataclasses.replace(
            made, deviating=tuple(w for w, s in zip(SIDES, sides, strict=True) if s.own_deviations)
        )
