"""The gradients against the derivatives of the forward text, by dual numbers over balls and by the complex step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dual_numbers import gradient

from bnspec.arithmetic.balls import at_precision, ball
from bnspec.arithmetic.quad import double, quad
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.equations import batch_norm as eq
from bnspec.model.call import INFERENCE_GRADIENTS, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions, Correction
from bnspec.oracle.oracle import Oracle

BITS = 256
STEP = 2.0**-600
#: The normalising correction of each way of training.
CORRECTION: dict[str, Correction] = {"training": 0, "corrected": 1}
SHAPES = ((2, 1), (5, 2), (3, 2, 2), (4, 3, 5))
KINDS = ("ordinary", "mean_1e4", "wide", "like_epsilon", "near_constant", "outlier", "exact")


def case_of(kind: str, shape: tuple[int, ...], seed: int) -> Case:
    """A float64 case, whose arrays are exact in every arithmetic."""
    return batch_norm_case(Plan(Form(shape, 1, "float64", "float64"), kind, epsilon=0.25 / (1 + seed), seed=seed))


def arguments(case: Case, kind: Callable[[Any], Any]) -> dict[str, Any]:
    """Every array of the case in another arithmetic; those of shape (C,) so that they broadcast against x."""
    shape = case.config.channel_shape
    return {n: kind(a) if a.ndim > 1 else kind(a.reshape(shape)) for n, a in case.arrays.items()}


def enclosures_agree(a: Any, b: Any) -> bool:
    """Whether balls overlap everywhere, each narrow enough to tell values apart: two enclosures of one number do."""
    narrow = all(v.rad() < 2.0**-100 * (1 + abs(v)) for v in [*a.reshape(-1), *b.reshape(-1)])
    return narrow and all(p.overlaps(q) for p, q in zip(a.reshape(-1), b.reshape(-1), strict=True))


def training(arrays: dict[str, Any], epsilon: float, axes: eq.Axes, correction: int = 0) -> Any:
    """<dy, y> in training."""
    y = eq.training_forward(arrays["x"], arrays["gamma"], arrays["beta"], epsilon, axes, correction)
    return np.sum(arrays["dy"] * y)


def corrected(arrays: dict[str, Any], epsilon: float, axes: eq.Axes) -> Any:
    """<dy, y> in training with the divisor count - 1 in the variance that normalises."""
    return training(arrays, epsilon, axes, 1)


def inference(arrays: dict[str, Any], epsilon: float, axes: eq.Axes) -> Any:
    """<dy, y> in inference."""
    names = ("x", "gamma", "beta", "running_mean", "running_var")
    return np.sum(arrays["dy"] * eq.inference_forward(*(arrays[n] for n in names), epsilon))


def written(mode: str, arrays: dict[str, Any], epsilon: float, axes: eq.Axes) -> dict[str, Any]:
    """The gradients as the equations give them, by the name of the argument."""
    x, dy, gamma = (arrays[n] for n in ("x", "dy", "gamma"))
    if mode in CORRECTION:
        mean, var = eq.batch_statistics(x, axes, CORRECTION[mode])
        dx = eq.training_dx(x, dy, gamma, epsilon, axes, CORRECTION[mode])
    else:
        mean, var = arrays["running_mean"], arrays["running_var"]
        dx = eq.inference_dx(dy, gamma, var, epsilon)
    dgamma, dbeta = eq.parameter_gradients(eq.normalise(x, mean, var, epsilon), dy, axes)
    return {"x": dx, "gamma": dgamma, "beta": dbeta}


FORWARD = {"training": training, "corrected": corrected, "inference": inference}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", FORWARD)
def test_the_gradients_are_the_derivatives_of_the_forward_text(mode: str, kind: str) -> None:
    """Dual numbers over balls enclose the derivatives of the forward text; the gradients' enclosures enclosures_agree them everywhere."""
    for seed, shape in enumerate(SHAPES):
        case = case_of(kind, shape, seed)
        arrays, epsilon, axes = arguments(case, ball), case.config.epsilon, case.config.reduce_axes

        def check(arrays: dict[str, Any] = arrays, epsilon: float = epsilon, axes: eq.Axes = axes) -> bool:
            said = written(mode, arrays, epsilon, axes)
            return all(
                enclosures_agree(
                    gradient(lambda v, n=name: FORWARD[mode]({**arrays, n: v}, epsilon, axes), arrays[name]), value
                )
                for name, value in said.items()
            )

        assert at_precision(BITS, check), (shape, seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", FORWARD)
def test_the_complex_step_keeps_the_bounds(mode: str, kind: str) -> None:
    """Differentiated in float64 by a step along the imaginary axis, the forward text stays within the bounds."""
    case = case_of(kind, (4, 3, 5), 6)
    arrays, epsilon, axes = arguments(case, lambda a: a.astype(complex)), case.config.epsilon, case.config.reduce_axes
    step = Step(TRAINING_GRADIENTS if mode in CORRECTION else INFERENCE_GRADIENTS, ("x", "dy"))
    expected = Oracle(case).expect(step, case.arrays, Conventions(normalising_correction=CORRECTION.get(mode, 0)))
    for name in ("x", "gamma", "beta"):
        found = np.empty(arrays[name].shape)
        for index in np.ndindex(found.shape):
            moved = arrays[name].copy()
            moved[index] += 1j * STEP
            found[index] = FORWARD[mode]({**arrays, name: moved}, epsilon, axes).imag / STEP
        wanted = expected[f"d{name}"]
        error = np.abs(double(quad(found.reshape(wanted.value.shape)) - wanted.value))
        assert (error <= wanted.bounds["permissive"]).all(), name


def test_a_corrected_variance_has_its_divisor_in_dx_too() -> None:
    """x = 1, 3, 4 and dy = 1, -2, 1/2 with epsilon 2^-10: dx with n in the mean of dy zhat is 0.504, -1.148, 0.644, and wrong."""
    plan = Plan(Form((3, 1), 1, "float64", "float64"), epsilon=2.0**-10, decay=0.0)
    numbers = {"x": [1.0, 3.0, 4.0], "dy": [1.0, -2.0, 0.5], "gamma": [1.0], "beta": [0.0]}
    case = batch_norm_case(plan)
    arrays = {n: np.reshape(v, case.arrays[n].shape) for n, v in numbers.items()}
    case = case.with_(arrays={**case.arrays, **arrays})
    step = Step(TRAINING_GRADIENTS, ("x", "dy"))
    found = Oracle(case).expect(step, case.arrays, Conventions(normalising_correction=1))
    right = {
        "running_mean": [2.6666666666666665],
        "running_var": [1.5555555555555556],
        "y": [-1.0908611977446314, 0.21817223954892628, 0.8726889581957051],
        "dx": [0.3741725405232841, -1.122061257939503, 0.747888717416219],
        "dgamma": [-1.0908611977446314],
        "dbeta": [-0.5],
    }
    assert {n: found[n].rounded.reshape(-1).tolist() for n in right} == right


def test_a_corrected_variance_of_one_value_gives_no_answer() -> None:
    """It is 0/0: only dbeta and the statistics are left to judge."""
    case = batch_norm_case(Plan(Form((1, 3), 1, "float64", "float64"), seed=1))
    step = Step(TRAINING_GRADIENTS, ("x", "dy"))
    expected = Oracle(case).expect(step, case.arrays, Conventions(normalising_correction=1))
    assert set(expected) == {"dbeta", "running_mean", "running_var"}
