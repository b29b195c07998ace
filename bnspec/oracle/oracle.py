"""The oracle: for a step of a case, the exact result and its bounds.

    Oracle(case).expect(step, before, conventions)  ->  by output name: the exact value (quad) and a bound per tier

Quantities independent of the backend's state and conventions are computed once per case and shared by all backends. ``exact``
provides the values and ``bounds`` the bounds; this file combines them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import weakref
from collections.abc import Callable, Mapping

import numpy as np

from bnspec.arithmetic.quad import Quad, double, quad
from bnspec.bounds import batch_norm as bounds
from bnspec.equations.input_normalization import input_transform
from bnspec.exact import outputs as exact
from bnspec.exact.blocks import block_of, block_of_state, channel_blocks, is_large, view, whole_of
from bnspec.exact.outputs import Affine, Output
from bnspec.exact.quantities import Batch, Cotangent, Normalisation, Summary, broadcast
from bnspec.model.call import INVERSE, TRANSFORM
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.precision import Units, units_of
from bnspec.model.vocabulary import Tier
from bnspec.oracle import masks, second_order, third_order
from bnspec.oracle.expected import TIERS, Expected, PerTier
from bnspec.oracle.memoize import remembered

RUNNING = ("running_mean", "running_var")
State = Mapping[str, np.ndarray]


Answers = Mapping[str, Expected]


class Oracle:
    """The exact answers for one case."""

    def __init__(self, case: Case, like: Oracle | None = None) -> None:
        """``like``: an oracle of the same inputs under other parameters, whose quantities of the inputs are reused."""
        self.case, self.like = case, like
        self._summaries: dict[str, Summary] = {}
        self._judged: dict[tuple[tuple[Units, ...], float, int], _Judged] = {}
        self._overridden: dict[tuple[tuple[str, object], ...], Oracle] = {}

    def overridden(self, overrides: tuple[tuple[str, object], ...]) -> Oracle:
        """The oracle of the case with these overrides; see ``Case.overrides``."""
        if not overrides:
            return self
        if overrides not in self._overridden:
            same_quantities = not {"epsilon", "rank", "channel_axis"} & {name for name, _ in overrides}
            like: Oracle | None = weakref.proxy(self) if same_quantities else None
            self._overridden[overrides] = Oracle(self.case.overridden(overrides), like)
        return self._overridden[overrides]

    @np.errstate(all="ignore")  # non-finite cases are valid, and quad arithmetic raises "invalid" spuriously
    def expect(
        self, step: Step, before: State, conventions: Conventions, fit: Step | None = None
    ) -> dict[str, Expected]:
        """The exact answers for a step, by output name: y, dx, dgamma, dbeta, running_mean, running_var; for ``fit`` mean and var.

        ``before`` is the observed state before the step, so errors of earlier steps are not counted twice. Undefined outputs are
        omitted: those of an empty batch, and those that a corrected variance of one value enters, which is 0/0. ``fit``: for ``transform`` and ``inverse``, the preceding
        fit; None: the first fit of the case.
        """
        answers = self.judged(conventions)
        if step.call.kind == "fit":
            return answers.fit(step)
        if step.call in (TRANSFORM, INVERSE):
            return answers.scaled(step, before, conventions.input_epsilon, fit)
        if self.case.arrays[step.inputs[0]].size == 0:
            return {}
        if step.call.has_mask:
            return self.masked(step, before, conventions)
        if step.call.kind == "late_gradients":
            plain = dataclasses.replace(step, call=step.call.with_kind("gradients"), inputs=step.inputs[:2])
            given = self.expect(plain, before, conventions)
            return {n: e for n, e in given.items() if n not in ("running_mean", "running_var")}
        if step.call.kind == "second_order":
            if step.call.mode == "inference":
                return dict(answers.second_order(step, before))
            derivatives = answers.second_order(step, before) if answers.exist(step.inputs[0]) else {}
            return {**derivatives, **answers.running(step.inputs[0], before, conventions)}
        if step.call.kind == "tangent_gradient":
            second = answers.second_order(step, before) if answers.exist(step.inputs[0]) else {}
            by_x = {name: expected for name, expected in second.items() if name == "by_x"}
            return {**by_x, **answers.running(step.inputs[0], before, conventions)}
        if step.call.kind == "third_order":
            third = answers.third_order(step) if answers.exist(step.inputs[0]) else {}
            return {**third, **answers.running(step.inputs[0], before, conventions)}
        if step.call.mode == "training":
            given = {**answers.training(step.inputs), **answers.running(step.inputs[0], before, conventions)}
        else:
            given = answers.inference(step.inputs, before)
        if step.call.kind == "tangent":
            return {"along" if n == "dx" else n: e for n, e in given.items() if n not in ("dgamma", "dbeta")}
        if step.call.kind == "some_gradients":
            wanted = str(step.option("wanted")).split()
            return {n: e for n, e in given.items() if n in wanted or n not in ("dx", "dgamma", "dbeta")}
        return given

    def masked(self, step: Step, before: State, conventions: Conventions) -> dict[str, Expected]:
        """Answers for a batch with padding: those of the batch without it; on the padding dx is 0 and y is not judged."""
        flat, kept = self.without_padding(Step(step.call, step.inputs))
        if not kept.any():
            return {}
        given = flat.expect(flat.case.steps[0], before, conventions)
        return masks.spread_out(given, kept, self.case.config.channel_axis)

    @remembered
    def without_padding(self, step: Step) -> tuple[Oracle, np.ndarray]:
        """The oracle of the masked call without its padding, and the positions that are kept."""
        flat, kept = masks.compacted(self.case, step)
        return Oracle(flat), kept

    def judged(self, conventions: Conventions) -> _Judged:
        """The answers under given conventions, cached: many steps, and all backends with the same precisions, share them."""
        config = self.case.config
        units = tuple(units_of(conventions, config.dtype, config.parameter_dtype, t) for t in TIERS)
        key = units, effective_epsilon(config.epsilon, conventions), conventions.normalising_correction
        if key not in self._judged:
            # the oracle owns the answers; a strong reference back would keep both alive
            self._judged[key] = _Judged(weakref.proxy(self), *key)
        return self._judged[key]

    @functools.cached_property
    def affine(self) -> Affine:
        """gamma and beta; 1 and 0 if the layer has none."""
        config = self.case.config
        gamma = double(self.case.arrays.get("gamma", np.ones(config.channels))).reshape(config.channel_shape)
        beta = double(self.case.arrays.get("beta", np.zeros(config.channels))).reshape(config.channel_shape)
        return Affine(quad(gamma), quad(beta), np.abs(gamma), np.abs(beta))

    @remembered
    def batch(self, name: str, epsilon: float) -> Batch:
        """The exact quantities of an input array, under the epsilon in force."""
        if self.like is not None:
            return self.like.batch(name, epsilon)
        own = self.case.config.epsilon
        config, given = dataclasses.replace(self.case.config, epsilon=epsilon), self.case.arrays[name]
        if epsilon != own:
            return Batch(config, given, shared=self.batch(name, own))
        if is_large(self.case, name):
            return Batch(config, given, known=self.summary(name))
        return Batch(config, given)

    def summary(self, name: str) -> Summary:
        """The channels of a large input array, block by block."""
        if name not in self._summaries:
            case = self.case
            parts = [Oracle(block_of(case, c)).batch(name, case.config.epsilon) for c in channel_blocks(case, name)]
            self.learn(name, [p.summary for p in parts])
        return self._summaries[name]

    def learn(self, name: str, parts: list[Summary]) -> None:
        """Store the summary computed from the blocks of a large input array."""
        self._summaries[name] = Summary.joined(parts, self.case.config.channel_axis)

    @remembered
    def normalisation(self, x: str, epsilon: float, correction: int = 0) -> Normalisation:
        """An input array normalised by its own statistics, the variance corrected: the training mode."""
        if self.like is not None:
            return self.like.normalisation(x, epsilon, correction)
        return self.batch(x, epsilon).normalisation(correction)

    @remembered
    def cotangent(self, x: str, dy: str, epsilon: float, correction: int = 0) -> Cotangent:
        """The exact quantities of a cotangent in training."""
        if self.like is not None:
            return self.like.cotangent(x, dy, epsilon, correction)
        return Cotangent(self.normalisation(x, epsilon, correction), self.case.arrays[dy])

    @remembered
    def training_output(self, x: str, epsilon: float, correction: int = 0) -> Output:
        """y in training."""
        return exact.training_output(self.normalisation(x, epsilon, correction), self.affine)

    @remembered
    def training_gradients(self, x: str, dy: str, epsilon: float, correction: int = 0) -> exact.Gradients:
        """dx, dgamma and dbeta in training."""
        return exact.training_gradients(self.cotangent(x, dy, epsilon, correction), self.affine)


def effective_epsilon(epsilon: float, conventions: Conventions) -> float:
    """The epsilon that the backend uses: stored in its declared dtype, raised to its documented minimum."""
    stored = float(np.float32(epsilon)) if conventions.epsilon_dtype == "float32" else epsilon
    return max(stored, conventions.epsilon_minimum)


def effective_decay(decay: float, conventions: Conventions) -> float:
    """The decay that the backend uses: its own number, stored in the declared dtype, is the decay or 1 - decay."""
    if conventions.decay_dtype == "float64":
        return decay
    return 1.0 - float(np.float32(1.0 - decay)) if conventions.momentum_weighs == "new" else float(np.float32(decay))


class _Judged:
    """The oracle's answers with bounds, for the precisions of each tier, an epsilon and the correction that normalises."""

    def __init__(self, oracle: Oracle, units: tuple[Units, ...], epsilon: float, correction: int) -> None:
        self.oracle, self.case, self.epsilon, self.correction = oracle, oracle.case, epsilon, correction
        self.units: dict[Tier, Units] = dict(zip(TIERS, units, strict=True))
        self.key = units, epsilon, correction

    # --- training -----------------------------------------------------------------------------------------------------

    def exist(self, x: str) -> bool:
        """Whether the variance that normalises x in training exists."""
        return self.oracle.batch(x, self.epsilon).count > self.correction

    @remembered
    def training(self, inputs: tuple[str, ...]) -> Answers:
        """y and, with a cotangent, the gradients; without a variance only dbeta, which needs none."""
        if not self.exist(inputs[0]):
            answers = _Judged(self.oracle, *self.key[:2], 0).training(inputs)
            return {n: a for n, a in answers.items() if n == "dbeta"}
        if is_large(self.case, inputs[0]):
            summaries: list[Summary] = []

            def visit(part: _Judged, _: slice) -> Answers:
                summaries.append(part.oracle.batch(inputs[0], self.case.config.epsilon).summary)
                return part.training(inputs)

            answers = self.in_blocks(inputs[0], visit)
            self.oracle.learn(inputs[0], summaries)
            return answers
        answers = {"y": self.training_output(inputs[0])}
        return answers | self.training_gradients(*inputs) if len(inputs) == 2 else answers

    @remembered
    def statistics_error(self, x: str, tier: Tier) -> bounds.StatisticsError:
        """Errors of the batch statistics."""
        return bounds.statistics_error(self.oracle.batch(x, self.epsilon), self.units[tier], tier)

    @remembered
    def errors(self, x: str, tier: Tier) -> tuple[np.ndarray, np.ndarray]:
        """(relative error of inv_std, error of zhat) in training."""
        norm = self.normalisation(x)
        units, statistics = self.units[tier], self.statistics_error(x, tier)
        var = bounds.corrected_error(statistics.var, norm.batch.var64, norm, units.statistics)
        # a stable variance is never negative, whatever its error
        least_var = -math.inf if tier == "lenient" else 0.0
        relative = bounds.inv_std_error(norm, var, units.arithmetic, least_var)
        return relative, bounds.normalised_error(norm, statistics.mean, relative, units.arithmetic)

    def normalisation(self, x: str) -> Normalisation:
        """x normalised by its own statistics."""
        return self.oracle.normalisation(x, self.epsilon, self.correction)

    @remembered
    def training_output(self, x: str) -> Expected:
        """y."""
        norm, affine = self.normalisation(x), self.oracle.affine
        y = self.oracle.training_output(x, self.epsilon, self.correction)
        sizes = (affine.abs_gamma, affine.abs_beta, y.size)
        return Expected(
            y.value, {t: bounds.output_error(norm, *sizes, self.errors(x, t)[1], u) for t, u in self.units.items()}
        )

    @remembered
    def training_gradients(self, x: str, dy: str) -> dict[str, Expected]:
        """dx and, with affine, dgamma and dbeta."""
        cotangent = self.oracle.cotangent(x, dy, self.epsilon, self.correction)
        gamma, values = self.oracle.affine.abs_gamma, self.oracle.training_gradients(x, dy, *self.key[1:])
        errors = {}
        for tier, units in self.units.items():
            relative, zhat = self.errors(x, tier)
            errors[tier] = bounds.training_gradient_error(cotangent, gamma, values.dx.size, zhat, relative, units, tier)
        return self.gradients(values, errors)

    def running(self, x: str, before: State, conventions: Conventions) -> Answers:
        """The state after one training step from ``before``; running_var is omitted if count <= correction."""
        correction = conventions.running_correction
        if self.oracle.batch(x, self.epsilon).count == 1 and conventions.count_one == "biased":
            correction = 0
        given = tuple((before[n].dtype, before[n].tobytes()) for n in RUNNING)
        return self.moved(x, given, effective_decay(self.case.config.decay, conventions), correction)

    @remembered
    def moved(self, x: str, given: tuple[tuple[np.dtype, bytes], ...], decay: float, correction: int) -> Answers:
        """The same from the statistics' dtypes and bytes: layers start from the same ones on every backend."""
        batch, config = self.oracle.batch(x, self.epsilon), self.case.config
        old_mean, old_var = (double(np.frombuffer(data, kind)).reshape(config.channel_shape) for kind, data in given)
        answers = {"running_mean": (exact.running_mean(batch, old_mean, decay), old_mean, batch.abs_mean, 0, 1.0)}
        if batch.count > correction:
            factor = batch.count / (batch.count - correction)
            var = exact.running_var(batch, old_var, decay, correction)
            answers["running_var"] = (var, old_var, batch.var64 * factor, 1, factor)
        expected = {}
        for name, (output, old, magnitude, which, factor) in answers.items():
            per_tier = {}
            for tier, units in self.units.items():
                error = self.statistics_error(x, tier)[which] * factor
                bound = bounds.running_error(np.abs(old), magnitude, error, decay, units)
                per_tier[tier] = bound.reshape(-1)
            expected[name] = Expected(output.value.reshape(-1), per_tier)
        return expected

    # --- inference ----------------------------------------------------------------------------------------------------

    def inference(self, inputs: tuple[str, ...], before: State) -> dict[str, Expected]:
        """y and, with a cotangent, the gradients, for the statistics before the step, which it leaves unchanged."""
        given = self.initial_inference(inputs) if self.is_initial(before) else self.inference_outputs(inputs, before)
        answers = dict(given)
        for name in RUNNING:
            answers[name] = Expected(quad(before[name]), dict.fromkeys(TIERS, np.zeros(self.case.config.channels)))
        return answers

    def is_initial(self, before: State) -> bool:
        """Whether the statistics are those of the case, which are the same for every backend."""
        return all(before[n].tobytes() == self.case.arrays[n].tobytes() for n in RUNNING)

    @remembered
    def initial_inference(self, inputs: tuple[str, ...]) -> Answers:
        """The answers for the case's initial state, which is the same for every backend."""
        return self.inference_outputs(inputs, self.case.arrays)

    def inference_outputs(self, inputs: tuple[str, ...], before: State) -> Answers:
        """y and, with a cotangent, the gradients, for given statistics."""
        if is_large(self.case, inputs[0]):
            state = {n: before[n] for n in RUNNING}
            return self.in_blocks(inputs[0], lambda part, c: part.inference_outputs(inputs, block_of_state(state, c)))
        mean, var = (broadcast(before[n], self.case.config) for n in RUNNING)
        norm, affine = Normalisation(self.oracle.batch(inputs[0], self.epsilon), mean, var), self.oracle.affine
        y, units = exact.inference_output(norm, affine), self.units
        relative = PerTier(lambda t: bounds.inv_std_error(norm, 0.0, units[t].arithmetic))

        def output_error(tier: Tier) -> np.ndarray:
            zhat = bounds.normalised_error(norm, 0.0, relative[tier], units[tier].arithmetic)
            return bounds.output_error(norm, affine.abs_gamma, affine.abs_beta, y.size, zhat, units[tier])

        answers = {"y": Expected(y.value, PerTier(output_error))}
        if len(inputs) == 2:
            cotangent = Cotangent(norm, self.case.arrays[inputs[1]])
            values = exact.inference_gradients(cotangent, affine)

            def gradient_error(tier: Tier) -> bounds.GradientError:
                size = values.dx.size
                return bounds.inference_gradient_error(cotangent, size, relative[tier], units[tier], tier)

            answers.update(self.gradients(values, PerTier(gradient_error)))
        return answers

    # --- second order -------------------------------------------------------------------------------------------------

    def second_order(self, step: Step, before: State) -> Answers:
        """by_x, by_dy and by_gamma; ``before`` is read in inference only."""
        plain = Step(step.call, step.inputs)
        if step.call.mode == "training":
            return self.training_second_order(plain)
        return (
            self.initial_second_order(plain) if self.is_initial(before) else self.inference_second_order(plain, before)
        )

    @remembered
    def training_second_order(self, step: Step) -> Answers:
        """The same in training."""
        norm, errors = self.normalisation(step.inputs[0]), {t: self.errors(step.inputs[0], t) for t in TIERS}
        return second_order.second_derivatives(self.in_force(), step, norm, errors, self.units)

    @remembered
    def initial_second_order(self, step: Step) -> Answers:
        """The same in inference, for the case's initial state."""
        return self.inference_second_order(step, self.case.arrays)

    def inference_second_order(self, step: Step, before: State) -> Answers:
        """The same in inference, for given statistics."""
        mean, var = (broadcast(before[n], self.case.config) for n in RUNNING)
        norm = Normalisation(self.oracle.batch(step.inputs[0], self.epsilon), mean, var)
        errors = second_order.inference_errors(norm, self.units)
        return second_order.second_derivatives(self.in_force(), step, norm, errors, self.units)

    def third_order(self, step: Step) -> Answers:
        """The third derivative, in training."""
        return self.training_third_order(Step(step.call, step.inputs))

    @remembered
    def training_third_order(self, step: Step) -> Answers:
        """The same, of a step without options."""
        norm, errors = self.normalisation(step.inputs[0]), {t: self.errors(step.inputs[0], t) for t in TIERS}
        return third_order.third_derivatives(self.in_force(), step, norm, errors, self.units)

    def in_force(self) -> Case:
        """The case with the epsilon in force."""
        case = self.case
        return case if self.epsilon == case.config.epsilon else case.overridden((("epsilon", self.epsilon),))

    def gradients(self, values: exact.Gradients, errors: Mapping[Tier, bounds.GradientError]) -> dict[str, Expected]:
        """dx, dgamma and dbeta with their bounds; without affine only dx."""
        answers = {"dx": Expected(values.dx.value, PerTier(lambda t: errors[t].dx))}
        if self.case.config.affine:
            dgamma, dbeta = values.dgamma.value.reshape(-1), values.dbeta.value.reshape(-1)
            answers["dgamma"] = Expected(dgamma, PerTier(lambda t: errors[t].dgamma.reshape(-1)))
            answers["dbeta"] = Expected(dbeta, PerTier(lambda t: errors[t].dbeta.reshape(-1)))
        return answers

    def in_blocks(self, x: str, visit: Callable[[_Judged, slice], Answers]) -> Answers:
        """The answers for a large case, joined from its blocks of channels; each block is freed after use."""
        count, axis = self.case.config.channels, self.case.config.channel_axis
        whole: dict[str, Expected] = {}
        for channels in channel_blocks(self.case, x):
            oracle = Oracle(block_of(self.case, channels))
            part = _Judged(oracle, *self.key)
            for name, answer in visit(part, channels).items():
                if name not in whole:
                    empty = {t: whole_of(b, count, axis) for t, b in answer.bounds.items()}
                    whole[name] = Expected(whole_of(answer.value, count, axis), empty)
                view(whole[name].value, channels, axis)[...] = answer.value
                for tier, bound in answer.bounds.items():
                    view(whole[name].bounds[tier], channels, axis)[...] = bound
        return whole

    # --- input normalization ------------------------------------------------------------------------------------------

    @remembered
    def training_set(self, chunks: tuple[str, ...]) -> Batch:
        """The training set: all chunks joined."""
        config = dataclasses.replace(self.case.config, epsilon=self.epsilon)
        axis = config.reduce_axes[0]
        return Batch(config, np.concatenate([double(self.case.arrays[n]) for n in chunks], axis=axis))

    def fit(self, step: Step) -> dict[str, Expected]:
        """Mean and variance of the training set."""
        whole = self.training_set(step.inputs)
        if whole.count == 0:
            return {}
        units = self.units
        errors = PerTier(lambda t: bounds.fitted_error(whole, units[t], t))
        mean, var = exact.fitted(whole)
        return {
            "mean": Expected(mean.value.reshape(-1), PerTier(lambda t: errors[t].mean.reshape(-1))),
            "var": Expected(var.value.reshape(-1), PerTier(lambda t: errors[t].var.reshape(-1))),
        }

    def is_constant(self, fit: Step | None) -> np.ndarray:
        """Features whose variance in the training set is at most its rounding error: any scale is correct for them."""
        fit = fit or next(s for s in self.case.steps if s.call.kind == "fit")
        whole = self.training_set(fit.inputs)
        # in x's own precision, so a backend may treat such a half-precision feature as constant
        noise = bounds.statistics_error(whole, self.units["lenient"], "permissive").var
        return np.asarray(whole.var64 <= noise)

    def scaled(self, step: Step, fitted: State, epsilon: float, fit: Step | None) -> dict[str, Expected]:
        """The transform or its inverse with the observed fitted statistics; constant features are not judged."""
        config = self.case.config
        mean, var = broadcast(fitted["mean"], config), broadcast(fitted["var"], config)
        constant = self.is_constant(fit) | (double(var) <= 0.0)
        safe = np.where(constant, quad(1.0), var)
        scale: Quad = np.sqrt(safe + quad(epsilon))
        given, forward = self.case.arrays[step.inputs[0]], step.call.kind == "transform"
        value = (
            input_transform(quad(given), mean, scale)
            if forward
            else exact.inverse(given, mean, safe, epsilon, config).value
        )
        sizes = tuple(np.abs(double(a)) for a in (given, mean, scale, value))
        error = bounds.transform_error if forward else bounds.inverse_error
        # the inverse of 0 is the mean for every finite scale
        unsaid = (
            constant
            if forward
            else constant & ~((double(given) == 0.0) & np.isfinite(double(var)) & (double(var) >= 0.0))
        )
        units = self.units
        per_tier = PerTier(lambda t: np.where(unsaid, math.nan, error(sizes, units[t])))
        return {"y" if forward else "x": Expected(value, per_tier)}


__all__ = ["RUNNING", "TIERS", "Answers", "Expected", "Oracle", "effective_decay", "effective_epsilon"]
