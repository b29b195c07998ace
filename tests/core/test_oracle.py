"""The first oracle against the second, and the gradients against an independent derivation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import second_oracle

from bnspec import bounds
from bnspec import equations as eq
from bnspec.arithmetic import double, quad
from bnspec.case import Case, Step
from bnspec.conformance.building import Form, Plan, batch_norm_case
from bnspec.oracle import Oracle
from bnspec.precision import PRECISIONS
from bnspec.profiles import Profile

KINDS = ("ordinary", "mean_1e2", "mean_1e4", "mean_1e6", "narrow", "wide", "like_epsilon", "constant", "near_constant",
         "huge", "tiny", "exact", "outlier", "sorted", "alternating")  # fmt: skip
DTYPES = ("float32", "float64", "float16", "bfloat16")


def ulps(got: np.ndarray, exact: list[Fraction]) -> float:
    """The worst distance in units of the last place of the exact value, rounded to double."""
    worst = 0.0
    for a, e in zip(got.reshape(-1).tolist(), exact, strict=True):
        rounded = float(e)
        distance = abs(Fraction(a) - e)
        worst = max(worst, float(distance / Fraction(float(np.spacing(abs(rounded))) or 5e-324)))
    return worst


def channels(case: Case, x: str, dy: str) -> list[Any]:
    """The case's channels for the second oracle."""
    config = case.config
    rows = {n: np.moveaxis(case.arrays[n].astype(np.float64), config.channel_axis, 0) for n in (x, dy)}
    flat = {n: r.reshape(config.channels, -1).tolist() for n, r in rows.items()}
    gamma, beta = (case.arrays[n].astype(np.float64).tolist() for n in ("gamma", "beta"))
    return [
        second_oracle.Channel(
            [Fraction(v) for v in flat[x][c]],
            [Fraction(v) for v in flat[dy][c]],
            Fraction(gamma[c]),
            Fraction(beta[c]),
            Fraction(config.epsilon),
        )
        for c in range(config.channels)
    ]


def in_order(case: Case, value: Any) -> np.ndarray:
    """An output shaped like x as (C, count) doubles."""
    return np.moveaxis(double(value), case.config.channel_axis, 0).reshape(case.config.channels, -1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_oracle_agrees_with_exact_rationals(kind: str, dtype: str) -> None:
    """Every output of every mode lies within one unit in the last place of the exact value, rounded to double."""
    parameter = dtype if dtype in ("float32", "float64") else "float32"
    case = batch_norm_case(Plan(Form((4, 3, 5), 1, dtype, parameter), kind, epsilon=1e-5, decay=0.9, seed=5))
    oracle, profile = Oracle(case), Profile(running_correction=1)
    state = {n: case.arrays[n] for n in ("running_mean", "running_var")}
    trained = oracle.expect(Step("training_gradients", ("x", "dy")), state, profile)
    inferred = oracle.expect(Step("inference_gradients", ("x", "dy")), state, profile)
    decay = Fraction(0.9)
    for c, channel in enumerate(channels(case, "x", "dy")):
        old_mean, old_var = (Fraction(float(state[n][c])) for n in ("running_mean", "running_var"))
        mean, var, count = channel.mean, channel.var, len(channel.x)
        rest = 1 - decay
        want = {
            "y": channel.outputs(mean, var),
            "dx": channel.training_dx(),
            "dgamma": [channel.parameter_gradients(mean, var)[0]],
            "dbeta": [channel.parameter_gradients(mean, var)[1]],
            "running_mean": [decay * old_mean + rest * mean],
            "running_var": [decay * old_var + rest * var * count / (count - 1)],
        }
        root = second_oracle.reciprocal_root(old_var + channel.epsilon)
        want_inferred = {
            "y": channel.outputs(old_mean, old_var),
            "dx": [channel.gamma * g * root for g in channel.dy],
            "dgamma": [channel.parameter_gradients(old_mean, old_var)[0]],
        }
        for answers, wanted in ((trained, want), (inferred, want_inferred)):
            for name, exact in wanted.items():
                value = answers[name].value
                got = in_order(case, value)[c] if name in ("y", "dx") else double(value)[c : c + 1]
                assert ulps(got, exact) <= 1.0, (name, c)


def test_the_gradients_are_the_derivatives_of_the_forward_text() -> None:
    """The complex step through the forward equations, an independent derivation, stays within the float64 bound of dx."""
    case = batch_norm_case(Plan(Form((4, 3, 5), 1, "float64", "float64"), "wide", epsilon=0.25, seed=6))
    config, step = case.config, 2.0**-600
    x, dy = case.arrays["x"], case.arrays["dy"]
    gamma, beta = (case.arrays[n].reshape(config.channel_shape) for n in ("gamma", "beta"))
    derived = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1j * step
        y = eq.training_forward(moved, gamma, beta, config.epsilon, config.reduce_axes)
        derived[index] = np.sum(dy * y.imag) / step
    expected = Oracle(case).expect(Step("training_gradients", ("x", "dy")), case.arrays, Profile())["dx"]
    error = np.abs(double(quad(derived) - expected.value))
    assert (error <= expected.bounds["permissive"]).all()


def test_an_infinite_bound_says_that_nothing_can_be_promised() -> None:
    """gamma_n is infinite once n u reaches 1."""
    assert bounds.gamma(2.0**8, PRECISIONS["bfloat16"]) == np.inf
    assert bounds.gamma(4.0, PRECISIONS["float32"]) < np.inf
