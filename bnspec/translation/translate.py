"""Translates a layer from one backend's conventions to another's, so that both compute the same function.

    translate(source, target, layer, count=None)  ->  Translation: one route for inference, one for training

*Exact* means: over real numbers the two layers are the same function, and the target stores every number without rounding.
Rounding during each framework's computation is covered by the bounds, not by the translation.

Inference. y = gamma (x - mean) / sqrt(var + epsilon) + beta depends only on five numbers per channel, which are
copied. If the target does not accept so small an epsilon, the difference moves into running_var, since only the sum
var + epsilon matters.

Training. Write r for the running variance, d for the decay, v for a batch's population variance, m for its count. Under
correction c a step gives

    r <- d r + (1 - d) v m / (m - c)

A map T of the state is a translation if T(step_source(r)) = step_target(T(r)) for every r, v and m.

    c_s = c_t             T(r) = r.
    m constant            T(r) = r f with f = (m - c_s) / (m - c_t): multiply the step by f. The initial value is scaled with
                          the rest; a target that starts from its own initial value has not been translated.
    m varies, d < 1       none exists. As m grows both factors m / (m - c) tend to 1, so that T(d r + (1 - d) v) =
                          d T(r) + (1 - d) v. Put T(r) = r + h(r): h(d r + (1 - d) v) = d h(r) for every v, so h is constant
                          and h = d h, h = 0. But r itself is not a translation for any finite m.
    d = 1                 T(r) = r: nothing moves.

With T(r) = r f the target's inference differs from the source's: it divides by sqrt(r f + epsilon). The two exclude each other.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np

from bnspec.arithmetic.representable import fractions_of, is_exact, nearest, nearest_of
from bnspec.model.conventions import HALVES, Conventions
from bnspec.oracle.oracle import effective_epsilon
from bnspec.translation.parts import LayerValues, Part, Route, Translation

#: For each dtype, the dtypes that represent all its values, narrowest first.
WIDER: dict[str, tuple[str, ...]] = {
    "float64": (),
    "float32": ("float64",),
    "bfloat16": ("float32", "float64"),
    "float16": ("float32", "float64"),
}

SAID = {
    "raises": "raises",
    "biased": "stores the biased variance",
    "keeps_state": "keeps its state",
    "unspecified": "may do anything",
}


def translate(source: Conventions, target: Conventions, layer: LayerValues, count: int | None = None) -> Translation:
    """The translation of a source layer to the target.

    Args:
        layer: the source's layer.
        count: elements per channel of every future training batch; None if they vary or are unknown.
    """
    rules = _Rules(source, target, layer, count)
    shared = (rules.axes(), rules.dtype(), *rules.affine(), rules.output())
    return Translation(
        rules.route((*shared, *rules.inference_state()), ()),
        rules.route((*shared, *rules.training_state()), rules.needs()),
    )


def decay_of(conventions: Conventions, momentum: float) -> Fraction:
    """The exact decay that the framework's stored number represents."""
    stored = fractions_of(nearest(Fraction(momentum), conventions.decay_dtype))[0]
    return 1 - stored if conventions.momentum_weighs == "new" else stored


class _Rules:
    """The rules of translation, for one layer; each method decides one part."""

    def __init__(self, source: Conventions, target: Conventions, layer: LayerValues, count: int | None) -> None:
        self.source, self.target, self.layer, self.count = source, target, layer, count
        self.decay = decay_of(source, layer.momentum)
        self.supported = [d for d in (layer.dtype, *WIDER[layer.dtype]) if d in target.dtypes]
        #: dtypes in the target: of x, of gamma and beta, of the running statistics
        self.x_dtype = self.supported[0] if self.supported else layer.dtype
        self.parameters = self._parameter_dtype()
        self.state = {"parameters": self.parameters, "float32": "float32", "input": self.x_dtype}[target.state_dtype]

    def _parameter_dtype(self) -> str:
        """The source's dtype if the target supports it with this x, else x's, or float32 with a half-precision x."""
        if self.x_dtype not in HALVES:
            return self.x_dtype
        own, known = self.layer.parameter_dtype, {"float32": "float32", "input": self.x_dtype}
        supported = [known[d] for d in ("float32", "input") if d in self.target.half_parameters]
        return own if own in supported else [*supported, "float32"][0]

    def route(self, parts: tuple[Part, ...], needs: tuple[str, ...]) -> Route:
        """The route of these parts, and the target's layer if every part exists."""
        if any(p.how == "impossible" for p in parts):
            return Route(parts, needs, None)
        given = {"momentum": self.momentum().value, **{p.name: p.value for p in parts}}
        given["rank"], given["channel_axis"] = given["x"]
        fields = {f.name for f in dataclasses.fields(LayerValues)} & given.keys()
        return Route(parts, needs, dataclasses.replace(self.layer, **{n: given[n] for n in fields}))

    # --- shared by both routes ---------------------------------------------------------------------------------------

    def axes(self) -> Part:
        """Rank and channel axis: statistics reduce over all other axes, which may therefore be moved and merged."""
        rank, axis = self.layer.rank, self.layer.channel_axis
        if rank in self.target.ranks and self.target.offers_axis(rank, axis):
            return Part("x", "copied", "x", "", (rank, axis))
        to_rank = rank if rank in self.target.ranks else min(self.target.ranks)
        to_axis = 1 if self.target.offers_axis(to_rank, 1) else to_rank - 1
        moved = f"moveaxis(x, {axis}, {to_axis})"
        if to_rank != rank:
            moved = f"moveaxis(x, {axis}, -1).reshape(-1, C) with unit axes: rank {to_rank}, C on axis {to_axis}"
        reason = f"rank {rank} with channel axis {axis} is not supported; the other axes are reduced alike: move and merge them"
        return Part("x", "computed", moved + "; y back by the inverse", reason, (to_rank, to_axis))

    def dtype(self) -> Part:
        """The dtype of x: its own, or a wider one that represents all its values."""
        own = self.layer.dtype
        if not self.supported:
            reason = f"the target offers neither {own} nor a dtype that holds all its values"
            return Part("dtype", "impossible", "", reason)
        if self.x_dtype == own:
            return Part("dtype", "copied", own, "", own)
        reason = f"{own} is not supported; every {own} is a {self.x_dtype}"
        return Part("dtype", "computed", f"x.astype({self.x_dtype})", reason, self.x_dtype)

    def affine(self) -> tuple[Part, Part]:
        """gamma and beta, or ones and zeros if the source has none."""
        if self.layer.gamma is None and not self.target.affine_optional:
            c, kind = self.layer.running_mean.size, self.parameters
            reason = "a layer without gamma and beta is not supported; 1 and 0 change nothing"
            ones, zeros = nearest_of([Fraction(1)] * c, kind), nearest_of([Fraction(0)] * c, kind)
            return Part("gamma", "computed", "1", reason, ones), Part("beta", "computed", "0", reason, zeros)
        return self._array("gamma", self.parameters), self._array("beta", self.parameters)

    def output(self) -> Part:
        """The dtype of y."""
        kinds = []
        for conventions, x, parameters in (
            (self.source, self.layer.dtype, self.layer.parameter_dtype),
            (self.target, self.x_dtype, self.parameters),
        ):
            kinds.append(parameters if conventions.output_dtype == "promoted" and x in HALVES else x)
        had, has = kinds
        if had == has:
            return Part("y", "copied", "y")
        if has in WIDER[had]:
            return Part("y", "computed", f"y.astype({had})", f"the target returns {has}")
        return Part("y", "rounded", "y", f"the source returns {had}, the target {has}: y keeps fewer digits")

    def _array(self, name: str, dtype: str) -> Part:
        """An array unchanged, if the dtype represents it."""
        array: np.ndarray | None = getattr(self.layer, name)
        if array is None:
            return Part(name, "copied", "absent")
        return self._hold(name, name, "", fractions_of(array), dtype, copied=True)

    def _hold(
        self, name: str, formula: str, reason: str, values: list[Fraction], dtype: str, copied: bool = False
    ) -> Part:
        """These values in this dtype: exact, rounded, or beyond its range."""
        held = nearest_of(values, dtype)
        if not np.isfinite(held).all():
            return Part(name, "impossible", formula, f"a value is beyond the range of {dtype}, which the target holds")
        if is_exact(held, values):
            return Part(name, "copied" if copied else "computed", formula, reason, held)
        off = max(abs(Fraction(float(h)) - v) for h, v in zip(held, values, strict=True))
        lost = f"the target holds {dtype}: the nearest is off by up to {float(off):.3g}"
        return Part(name, "rounded", formula, f"{reason}; {lost}" if reason else lost, held)

    # --- inference ----------------------------------------------------------------------------------------------------

    def epsilon(self) -> tuple[Part, Fraction]:
        """The epsilon given to the target, and the excess of its effective epsilon."""
        wanted = effective_epsilon(self.layer.epsilon, self.source)
        given = float(nearest(Fraction(wanted), self.target.epsilon_dtype))
        off = Fraction(effective_epsilon(given, self.target)) - Fraction(wanted) if given < np.inf else Fraction(1)
        if off == 0:
            same = given == self.layer.epsilon
            reason = "" if same else f"what the source computes with: {self.source.epsilon_dtype}, at least its minimum"
            return Part("epsilon", "copied" if same else "computed", repr(given), reason, given), off
        if wanted < self.target.epsilon_minimum:
            reason = f"the target replaces what is below {self.target.epsilon_minimum!r}, and a batch's variance is what it is"
            return Part("epsilon", "impossible", repr(wanted), reason), off
        if given == np.inf:
            return Part("epsilon", "impossible", repr(wanted), "it is beyond the range of float32"), off
        relative = abs(float(off / Fraction(wanted)))
        reason = f"the target stores {self.target.epsilon_dtype}: the nearest is off by {relative:.3g} of it"
        return Part("epsilon", "rounded", repr(given), reason, given), off

    def inference_state(self) -> tuple[Part, ...]:
        """epsilon and the running statistics, for inference only: only running_var + epsilon matters."""
        epsilon, off = self.epsilon()
        mean, var = self._array("running_mean", self.state), self._array("running_var", self.state)
        if epsilon.how != "impossible":
            return epsilon, mean, var
        shifted = [v - off for v in fractions_of(self.layer.running_var)]
        least = self.target.epsilon_minimum
        formula = f"running_var - ({least!r} - {epsilon.formula})"
        if min(shifted, default=off) < 0:
            return epsilon, mean, Part("running_var", "impossible", formula, "it would be negative")
        taken = Part("epsilon", "computed", repr(least), "the sum running_var + epsilon is kept", least)
        return taken, mean, self._hold("running_var", formula, "only its sum with epsilon matters", shifted, self.state)

    # --- training -----------------------------------------------------------------------------------------------------

    def training_state(self) -> tuple[Part, ...]:
        """Everything that a training step reads or updates."""
        mean = self._array("running_mean", self.state)
        parts = (self.epsilon()[0], self.momentum(), mean, self.running_var(), self.first_batch())
        a, b = self.source.normalising_correction, self.target.normalising_correction
        if a == b:
            return parts
        reason = (
            f"the source normalises by the variance with divisor m - {a}, the target by m - {b}: gamma would have to change "
            "by sqrt(m / (m - 1)), irrational for every m > 1, since no two neighbours are both squares"
        )
        return (*parts, Part("normalising_correction", "impossible", "", reason))

    def momentum(self) -> Part:
        """The target's number for the same decay: 1 - (source's number) where one weighs the new value and one the old."""
        new = self.target.momentum_weighs == "new"
        wanted, dtype = 1 - self.decay if new else self.decay, self.target.decay_dtype
        flipped = new != (self.source.momentum_weighs == "new")
        held = float(nearest(wanted, dtype))
        formula = "1 - momentum" if flipped else "momentum"
        if Fraction(held) == wanted:
            same = not flipped and held == self.layer.momentum
            return Part("momentum", "copied" if same else "computed", formula, "", held)
        reason = f"{formula} is no {dtype}: the nearest is off by {float(abs(Fraction(held) - wanted)):.3g}"
        return Part("momentum", "rounded", formula, reason, held)

    def running_var(self) -> Part:
        """The running variance under another correction; see the head of this file."""
        a, b, m = self.source.running_correction, self.target.running_correction, self.count
        if a == b or self.decay == 1:
            return self._array("running_var", self.state)
        formula = "running_var * m / (m - 1)" if b else "running_var * (m - 1) / m"
        if m is None:
            reason = (
                f"the source tracks the variance with divisor m - {a}, the target with m - {b}: for one count m, always the "
                "same, it is this; where m varies no function of the state is a translation"
            )
            return Part("running_var", "impossible", formula, reason)
        if m <= 1:
            return Part(
                "running_var", "impossible", formula, f"a variance with divisor m - 1 does not exist for m = {m}"
            )
        values = [v * (m - a) / (m - b) for v in fractions_of(self.layer.running_var)]
        reason = f"for m = {m} in every step to come; inference before the next step differs, as each reads its own"
        return self._hold("running_var", formula, reason, values, self.state)

    def first_batch(self) -> Part:
        """The translation of the initial state."""
        rules, steps = {self.source.first_batch, self.target.first_batch}, self.layer.steps
        if len(rules) == 1 or self.decay == 0:
            formula = "steps" if "debiased" in rules else "-"
            return Part("first_batch", "copied", formula, "", steps)
        if "debiased" in rules:
            reason = (
                "with t steps taken, the debiased average moves with decay d (1 - d^t) / (1 - d^(t+1)), which changes from "
                "step to step; the other rule has one decay"
            )
            return Part("first_batch", "impossible", "", reason)
        if steps == 0:
            reason = "the first batch replaces the state of one and is averaged into the other's; after it they agree"
            return Part("first_batch", "impossible", "", reason)
        reason = "the rules differ in the first step only"
        return Part("first_batch", "computed", "the state counts as begun", reason, steps)

    def needs(self) -> tuple[str, ...]:
        """Further conditions during training for the two layers to agree."""
        a, b, found = self.source, self.target, []
        for name, words, least in (("count_one", "one value", 2), ("empty_batch", "no value", 1)):
            had, has = getattr(a, name), getattr(b, name)
            if had != "raises" and (had != has or had == "unspecified"):
                found.append(
                    f"count >= {least}: for {words} per channel the source {SAID[had]}, the target {SAID[has]}"
                )
        if a.running_correction != b.running_correction and self.decay != 1:
            divisors = f"m - {a.running_correction} and m - {b.running_correction}"
            found.append(f"count = {self.count or 'm'} in every step: the divisors {divisors} differ")
        if a.frozen_gradients != b.frozen_gradients:
            rules = f"{a.frozen_gradients} there, {b.frozen_gradients} here"
            found.append(f"the layer is not frozen: {rules}")
        if self.layer.gamma is None and not b.affine_optional:
            found.append("gamma and beta are not trained")
        if {a.first_batch, b.first_batch} == {"average", "replace"} and self.layer.steps is None and self.decay != 0:
            found.append("at least one step has been taken")
        return tuple(found)
