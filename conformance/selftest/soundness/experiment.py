"""One algorithm on one case: its outputs, and the error of each in units of its bound."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnspec.conformance.selftest.soundness.algorithms import Algorithm
from bnspec.conformance.selftest.soundness.data import draw
from bnspec.conformance.selftest.soundness.layer_norm import LayerNormExperiment
from bnspec.conformance.selftest.soundness.passes import Terms
from bnspec.contract import LayerConfig
from bnspec.model.call import FIT, INFERENCE_GRADIENTS, INVERSE, TRAINING_GRADIENTS, TRANSFORM
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES, Conventions
from bnspec.model.vocabulary import Tier
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.oracle import Expected, Oracle

Array = Any
CONVENTIONS = Conventions(running_correction=1)
#: Every FEW-th row is kept where few samples are needed: sums over many hide how tight the bound of each is.
FEW = 20
STATE = ("running_mean", "running_var")
SCALED = ("fitted mean", "fitted var", "transform", "inverse")


@dataclass(frozen=True, eq=False)
class BoundExperiment:
    """One set of arrays as a layer's case and as a scaler's.

    Attributes:
        label: dtype, kappa, count, epsilon and decay, for people.
    """

    label: Mapping[str, Any]
    layer: Case
    scaler: Case
    oracles: tuple[Oracle, Oracle]

    @staticmethod
    def of(arrays: Mapping[str, Array], epsilon: float, decay: float, **label: Any) -> BoundExperiment:
        """The experiment of these arrays; the training set comes in the chunks that the count allows."""
        x = arrays["x"]
        parameter = arrays["gamma"].dtype.name
        config = LayerConfig(2, 0, len(x), epsilon, decay, x.dtype.name, parameter)
        steps = (Step(TRAINING_GRADIENTS, ("x", "dy")), Step(INFERENCE_GRADIENTS, ("x", "dy")))
        layer = Case("batch_norm", config, arrays, steps)
        pieces = np.array_split(x, min(x.shape[1], 8), axis=1)
        chunks = {f"chunk{i}": p for i, p in enumerate(pieces)}
        scaling = (Step(FIT, tuple(chunks)), Step(TRANSFORM, ("x",)), Step(INVERSE, ("dy",)))
        scaler = Case("input_norm", config, {**chunks, "x": x, "dy": arrays["dy"]}, scaling)
        label = {"dtype": x.dtype.name, "count": x.shape[1], "epsilon": epsilon, "decay": decay, **label}
        return BoundExperiment(label, layer, scaler, (Oracle(layer), Oracle(scaler)))

    def outcome(self, algorithm: Algorithm, output: str = "") -> dict[str, tuple[Array, Expected]]:
        """By output, the algorithm's result and the expected one; with an output, at least that one."""
        layer = {} if output in SCALED else self._layer_outcome(algorithm)
        return layer if output in layer else {**layer, **self._scaler_outcome(algorithm)}

    def _layer_outcome(self, algorithm: Algorithm) -> dict[str, tuple[Array, Expected]]:
        with np.errstate(all="ignore"):
            trained, inferred = run_layer(algorithm, self.layer.config, self.layer.arrays)
        before, after = self.layer_answers
        return {
            **{f"training {self._name(n)}": (trained[n], e) for n, e in before.items()},
            **{f"inference {n}": (inferred[n], e) for n, e in after.items() if n not in STATE},
        }

    def _scaler_outcome(self, algorithm: Algorithm) -> dict[str, tuple[Array, Expected]]:
        with np.errstate(all="ignore"):
            fitted, scaled = run_scaler(algorithm, self.scaler)
            transform, inverse = (self.oracles[1].expect(s, fitted, CONVENTIONS) for s in self.scaler.steps[1:])
        return {
            **{f"fitted {n}": (fitted[n], e) for n, e in self.fit_answers.items()},
            "transform": (scaled["y"], transform["y"]),
            "inverse": (scaled["x"], inverse["x"]),
        }

    def layer_norm_outcome(self, algorithm: Algorithm) -> dict[str, tuple[Array, Expected]]:
        """The same for layer normalization of the same x, whose channels are now samples."""
        with np.errstate(all="ignore"):
            got = self.as_layer_norm.run(algorithm)
        return {f"layer norm {n}": (got[n], e) for n, e in self.as_layer_norm.expected.items()}

    @functools.cached_property
    def as_layer_norm(self) -> LayerNormExperiment:
        """x and dy with as many gammas and betas as there are values in a row; at some counts, few samples."""
        arrays, count, config = self.layer.arrays, self.layer.count, self.layer.config
        chance = zlib.crc32(arrays["x"].tobytes())
        rows = slice(chance % min(FEW, config.channels), None, FEW) if count % 4 in (2, 3) else slice(None)
        gamma, beta = (np.resize(arrays[n], count) for n in ("gamma", "beta"))
        return LayerNormExperiment(arrays["x"][rows], arrays["dy"][rows], gamma, beta, config.epsilon)

    @functools.cached_property
    def layer_answers(self) -> tuple[Mapping[str, Expected], Mapping[str, Expected]]:
        """The expected results of training and inference."""
        state = {n: self.layer.arrays[n] for n in STATE}
        with np.errstate(all="ignore"):
            training, inference = (self.oracles[0].expect(s, state, CONVENTIONS) for s in self.layer.steps)
        return training, inference

    @functools.cached_property
    def fit_answers(self) -> Mapping[str, Expected]:
        """The expected results of the fit."""
        return self.oracles[1].expect(self.scaler.steps[0], {}, CONVENTIONS)

    def _name(self, output: str) -> str:
        """With decay 0 the running statistics are the batch's."""
        return output.replace("running", "batch") if self.layer.config.decay == 0.0 else output


def run_layer(
    algorithm: Algorithm, config: LayerConfig, arrays: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Outputs of a training step with gradients, and of inference with gradients."""
    x = arrays["x"]
    work = algorithm.work(x.dtype)
    wide = {n: a.astype(work).reshape(len(x), -1) for n, a in arrays.items()}
    mean, var = algorithm.moments(wide["x"], algorithm.total)
    terms = Terms(wide["x"], mean, algorithm.root(var, config.epsilon), wide["gamma"], wide["beta"])
    m = x.shape[1]
    corrected = var * work.type(m / (m - 1)) if m > 1 else var
    trained = _stored(x, arrays, algorithm.forward(terms), algorithm.backward(terms, wide["dy"], algorithm.total))
    for name, new in (("running_mean", mean), ("running_var", corrected)):
        moved = algorithm.update(wide[name], new, config.decay)
        trained[name] = moved.reshape(-1).astype(arrays[name].dtype)
    inv_std = algorithm.root(wide["running_var"], config.epsilon)
    terms = Terms(wide["x"], wide["running_mean"], inv_std, wide["gamma"], wide["beta"])
    inferred = _stored(x, arrays, algorithm.forward(terms), algorithm.inference(terms, wide["dy"], algorithm.total))
    return trained, inferred


def run_scaler(algorithm: Algorithm, case: Case) -> tuple[dict[str, Array], dict[str, Array]]:
    """The fitted statistics, and the transform of x and the inverse of dy by them."""
    work = algorithm.work(case.arrays["x"].dtype)
    chunks = [case.arrays[n].astype(work) for n in case.steps[0].inputs]
    mean, var = algorithm.fit(chunks, algorithm.moments, algorithm.total)
    x, y = (case.arrays[n].astype(work) for n in ("x", "dy"))
    one, zero = np.ones_like(mean), np.zeros_like(mean)
    forward = algorithm.forward(Terms(x, mean, algorithm.root(var, 0.0), one, zero))
    backward = y * np.sqrt(var) + mean
    stored = case.arrays["x"].dtype
    return (
        {"mean": mean.reshape(-1), "var": var.reshape(-1)},
        {"y": forward.astype(stored), "x": backward.astype(stored)},
    )


def experiments(
    dtypes: tuple[str, ...], kappas: tuple[float, ...], counts: tuple[int, ...], seeds: int, each: int = 3
) -> Iterator[BoundExperiment]:
    """Every combination, with an epsilon and a decay drawn for each; float64 has more digits and so a wider range of kappa."""
    k = 0
    for dtype in dtypes:
        for kappa in kappas:
            for count in counts:
                for seed in range(seeds):
                    k += 1
                    rng = np.random.RandomState(k)
                    epsilon = float(rng.choice([1e-5, 1.0, 1e-2 if dtype in HALVES else 1e-12]))
                    decay = float(rng.choice([0.0, 0.0, 0.5, 0.9, 0.99]))
                    wide = kappa * 100.0 if dtype == "float64" else kappa
                    arrays = draw(dtype, wide, count, 1000 * k + seed, each)
                    if decay == 0.0:  # nothing of the old value: the running statistics are the batch's
                        arrays |= {n: np.zeros_like(arrays[n]) for n in STATE}
                    yield BoundExperiment.of(arrays, epsilon, decay, kappa=wide)


def _stored(x: Array, arrays: Mapping[str, Array], y: Array, gradients: Any) -> dict[str, Array]:
    parameter = arrays["gamma"].dtype
    flat = {n: getattr(gradients, n).reshape(-1).astype(parameter) for n in ("dgamma", "dbeta")}
    return {"y": y.astype(x.dtype), "dx": gradients.dx.astype(x.dtype), **flat}


def worst_by_channel(got: Array, expected: Expected, tier: Tier) -> Array:
    """error / bound of the worst element of each row; NaN where the specification leaves the row open."""
    ratios = ratios_of(got, expected, tier)
    per_channel = np.where(np.isnan(ratios), -1.0, ratios).reshape(len(ratios), -1).max(axis=1)
    return np.where(per_channel < 0.0, np.nan, per_channel)
