"""The oracle: for a step of a case, the exact result and its bounds.

    Oracle(case).expect(step, before, profile)  ->  Expectation: by output name, the exact value (quad) and a bound per tier

Everything that does not depend on the backend's state or profile is computed once per case and shared by all backends.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping

import numpy as np

from bnspec import bounds
from bnspec import equations as eq
from bnspec.arithmetic import Quad, double, quad
from bnspec.bounds import Tier
from bnspec.case import Case, Step
from bnspec.facts import Batch, Cotangent, Normalisation, broadcast
from bnspec.memory import remembered
from bnspec.precision import Units, units_of
from bnspec.profiles import Profile

TIERS: tuple[Tier, ...] = ("lenient", "permissive", "good")
RUNNING = ("running_mean", "running_var")
State = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """One output: its exact value and, per tier, the bound of each element. A NaN value is one that nothing is said of."""

    value: Quad
    bounds: Mapping[Tier, np.ndarray]

    @functools.cached_property
    def rounded(self) -> np.ndarray:
        """The exact value, rounded to float64."""
        return double(self.value)


class Oracle:
    """The exact answers for one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._profiled: dict[tuple[Profile, float], _Profiled] = {}

    @remembered
    def batch(self, name: str, epsilon: float) -> Batch:
        """The exact facts of an input array, under the epsilon that is in force."""
        config = dataclasses.replace(self.case.config, epsilon=epsilon)
        return Batch(config, quad(self.case.arrays[name]))

    @remembered
    def cotangent(self, x: str, dy: str, epsilon: float) -> Cotangent:
        """The exact facts of a cotangent in training."""
        return Cotangent(self.batch(x, epsilon).normalisation, quad(self.case.arrays[dy]))

    def expect(self, step: Step, before: State, profile: Profile) -> dict[str, Expected]:
        """What the step must give, by output name: y, dx, dgamma, dbeta, running_mean, running_var; for ``fit`` mean and var.

        ``before`` is the state that the step met (observed: errors of earlier steps are not counted twice). Outputs that are
        undefined (an empty batch, a corrected variance of one value) are left out.
        """
        answers = self.profiled(profile)
        if step.call == "fit":
            return answers.fit(step)
        if step.call in ("transform", "inverse"):
            return answers.scaled(step, before)
        if step.call.startswith("training"):
            return answers.training(step, before)
        return answers.inference(step, before)

    def profiled(self, profile: Profile) -> _Profiled:
        """The answers under a profile, kept: many steps and backends share them."""
        epsilon = effective_epsilon(self.case.config.epsilon, profile)
        if (profile, epsilon) not in self._profiled:
            self._profiled[profile, epsilon] = _Profiled(self, profile, epsilon)
        return self._profiled[profile, epsilon]


def effective_epsilon(epsilon: float, profile: Profile) -> float:
    """The epsilon as the backend received it: stored in its declared dtype, raised to its documented minimum."""
    stored = float(np.float32(epsilon)) if profile.epsilon_dtype == "float32" else epsilon
    return max(stored, profile.epsilon_minimum)


class _Profiled:
    """The oracle's answers under one profile."""

    def __init__(self, oracle: Oracle, profile: Profile, epsilon: float) -> None:
        self.oracle, self.case, self.profile, self.epsilon = oracle, oracle.case, profile, epsilon
        config = self.case.config
        self.units: dict[Tier, Units] = {t: units_of(profile, config.dtype, config.parameter_dtype, t) for t in TIERS}
        ones, zeros = np.ones(config.channels), np.zeros(config.channels)
        self.gamma = broadcast(self.case.arrays.get("gamma", ones), config)
        self.beta = broadcast(self.case.arrays.get("beta", zeros), config)
        self.abs_gamma, self.abs_beta = np.abs(double(self.gamma)), np.abs(double(self.beta))

    def training(self, step: Step, before: State) -> dict[str, Expected]:
        """y and, with a cotangent, the gradients (shared), and the state after (from the state before)."""
        batch = self.oracle.batch(step.inputs[0], self.epsilon)
        if batch.count == 0:
            return {}
        answers = dict(self.training_outputs(step.inputs[0]))
        if len(step.inputs) == 2:
            answers.update(self.training_gradients(*step.inputs))
        answers.update(self.running(step.inputs[0], before))
        return answers

    @remembered
    def statistics_error(self, x: str, tier: Tier) -> bounds.StatisticsError:
        """Errors of the batch statistics."""
        return bounds.statistics_error(self.oracle.batch(x, self.epsilon), self.units[tier], tier)

    @remembered
    def errors(self, x: str, tier: Tier) -> tuple[np.ndarray, np.ndarray]:
        """(relative error of inv_std, error of zhat) in training."""
        norm = self.oracle.batch(x, self.epsilon).normalisation
        units, statistics = self.units[tier], self.statistics_error(x, tier)
        relative = bounds.inv_std_error(norm, statistics.var, units.arithmetic)
        if tier != "lenient":  # a stable variance is never negative, whatever its error
            norm_low = np.sqrt((double(norm.var) + self.epsilon) / max(self.epsilon, 1e-300)) - 1.0
            relative = np.where(np.isinf(relative), np.maximum(norm_low, 1.0), relative)
        return relative, bounds.normalised_error(norm, statistics.mean, relative, units.arithmetic)

    @remembered
    def training_outputs(self, x: str) -> Mapping[str, Expected]:
        norm = self.oracle.batch(x, self.epsilon).normalisation
        y = eq.affine(norm.zhat, self.gamma, self.beta)
        size = np.abs(double(y))
        return {
            "y": Expected(
                y,
                {
                    t: bounds.output_error(
                        norm, self.abs_gamma, self.abs_beta, size, self.errors(x, t)[1], self.units[t]
                    )
                    for t in TIERS
                },
            )
        }

    @remembered
    def training_gradients(self, x: str, dy: str) -> Mapping[str, Expected]:
        cotangent = self.oracle.cotangent(x, dy, self.epsilon)
        norm = cotangent.normalisation
        dx = self.gamma * norm.inv_std * (cotangent.dy - cotangent.mean_dy - norm.zhat * cotangent.mean_dy_zhat)
        size = np.abs(double(dx))
        errors = {}
        for tier in TIERS:
            relative, zhat = self.errors(x, tier)
            errors[tier] = bounds.training_gradient_error(
                cotangent, self.abs_gamma, size, zhat, relative, self.units[tier], tier
            )
        return self.gradients(cotangent, dx, errors)

    def running(self, x: str, before: State) -> dict[str, Expected]:
        """The state after one training step from ``before``; running_var is left out where count <= correction."""
        batch = self.oracle.batch(x, self.epsilon)
        config, correction = self.case.config, self.profile.running_correction
        old_mean, old_var = broadcast(before["running_mean"], config), broadcast(before["running_var"], config)
        mean = eq.running_mean_update(old_mean, batch.mean, config.decay)
        answers = {"running_mean": (mean, old_mean, batch.abs_mean, 0, 1.0)}
        if batch.count == 1 and self.profile.count_one == "biased":
            correction = 0
        if batch.count > correction:
            factor = batch.count / (batch.count - correction)
            var = eq.running_var_update(old_var, batch.var, batch.count, config.decay, correction)
            answers["running_var"] = (var, old_var, batch.var64 * factor, 1, factor)
        expected = {}
        for name, (value, old, magnitude, which, factor) in answers.items():
            per_tier = {}
            for tier in TIERS:
                error = self.statistics_error(x, tier)[which] * factor
                bound = bounds.running_error(np.abs(double(old)), magnitude, error, config.decay, self.units[tier])
                per_tier[tier] = bound.reshape(-1)
            expected[name] = Expected(value.reshape(-1), per_tier)
        return expected

    def inference(self, step: Step, before: State) -> dict[str, Expected]:
        """y and, with a cotangent, the gradients, for the statistics that the step met; the state after is the state before."""
        if self.oracle.batch(step.inputs[0], self.epsilon).count == 0:
            return {}
        initial = all(before[n].tobytes() == self.case.arrays[n].tobytes() for n in RUNNING)
        answers = dict(self.initial_inference(step.inputs) if initial else self.inference_outputs(step.inputs, before))
        for name in RUNNING:
            answers[name] = Expected(quad(before[name]), dict.fromkeys(TIERS, np.zeros(self.case.config.channels)))
        return answers

    @remembered
    def initial_inference(self, inputs: tuple[str, ...]) -> Mapping[str, Expected]:
        """The answers for the state that the case starts from, which every backend meets."""
        return self.inference_outputs(inputs, self.case.arrays)

    def inference_outputs(self, inputs: tuple[str, ...], before: State) -> dict[str, Expected]:
        """y and, with a cotangent, the gradients, for given statistics."""
        mean, var = (broadcast(before[n], self.case.config) for n in RUNNING)
        norm = Normalisation(self.oracle.batch(inputs[0], self.epsilon), mean, var)
        y = eq.affine(norm.zhat, self.gamma, self.beta)
        size, per_tier, relative = np.abs(double(y)), {}, {}
        for tier, units in self.units.items():
            relative[tier] = bounds.inv_std_error(norm, 0.0, units.arithmetic)
            zhat = bounds.normalised_error(norm, 0.0, relative[tier], units.arithmetic)
            per_tier[tier] = bounds.output_error(norm, self.abs_gamma, self.abs_beta, size, zhat, units)
        answers = {"y": Expected(y, per_tier)}
        if len(inputs) == 2:
            cotangent = Cotangent(norm, quad(self.case.arrays[inputs[1]]))
            dx = eq.inference_dx(cotangent.dy, self.gamma, norm.var, self.epsilon)
            magnitude = np.abs(double(dx))
            errors = {
                t: bounds.inference_gradient_error(cotangent, magnitude, relative[t], units, t)
                for t, units in self.units.items()
            }
            answers.update(self.gradients(cotangent, dx, errors))
        return answers

    def gradients(
        self, cotangent: Cotangent, dx: Quad, errors: Mapping[Tier, bounds.GradientError]
    ) -> dict[str, Expected]:
        """dx, dgamma and dbeta with their bounds; without affine only dx."""
        count = cotangent.normalisation.batch.count
        answers = {"dx": Expected(dx, {t: e.dx for t, e in errors.items()})}
        if self.case.config.affine:
            dgamma, dbeta = count * cotangent.mean_dy_zhat, count * cotangent.mean_dy
            answers["dgamma"] = Expected(dgamma.reshape(-1), {t: e.dgamma.reshape(-1) for t, e in errors.items()})
            answers["dbeta"] = Expected(dbeta.reshape(-1), {t: e.dbeta.reshape(-1) for t, e in errors.items()})
        return answers

    @remembered
    def training_set(self, chunks: tuple[str, ...]) -> Batch:
        """The training set that the chunks make up."""
        config = dataclasses.replace(self.case.config, epsilon=self.epsilon)
        axis = config.reduce_axes[0]
        return Batch(config, np.concatenate([quad(self.case.arrays[n]) for n in chunks], axis=axis))

    def fit(self, step: Step) -> dict[str, Expected]:
        """Mean and variance of the training set that the chunks make up."""
        whole = self.training_set(step.inputs)
        if whole.count == 0:
            return {}
        errors = {t: bounds.fitted_error(whole, units, t) for t, units in self.units.items()}
        return {
            "mean": Expected(whole.mean.reshape(-1), {t: e.mean.reshape(-1) for t, e in errors.items()}),
            "var": Expected(whole.var.reshape(-1), {t: e.var.reshape(-1) for t, e in errors.items()}),
        }

    def is_constant(self) -> np.ndarray:
        """Features whose variance in the training set is no more than its rounding error: any scale is right for them."""
        fit = next(s for s in self.case.steps if s.call == "fit")
        whole = self.training_set(fit.inputs)
        noise = bounds.statistics_error(whole, self.units["permissive"], "permissive").var
        return np.asarray(whole.var64 <= noise)

    def scaled(self, step: Step, fitted: State) -> dict[str, Expected]:
        """The transform or its inverse with the fitted statistics (observed); of constant features nothing is said."""
        config = self.case.config
        mean, var = broadcast(fitted["mean"], config), broadcast(fitted["var"], config)
        scale = np.sqrt(var + self.profile.input_epsilon)
        constant = self.is_constant() | (double(var) <= 0.0)
        safe = np.where(constant, quad(1.0), scale)
        given = quad(self.case.arrays[step.inputs[0]])
        forward = step.call == "transform"
        value = (eq.input_transform if forward else eq.input_inverse)(given, mean, safe)
        sizes = tuple(np.abs(double(a)) for a in (given, mean, safe, value))
        error = bounds.transform_error if forward else bounds.inverse_error
        per_tier = {t: np.where(constant, math.nan, error(sizes, units)) for t, units in self.units.items()}
        return {"y" if forward else "x": Expected(value, per_tier)}
