"""Cases for comparing the oracles: every family of inputs, every dtype, and the worst cancellation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.values import COTANGENTS as EVERY_COTANGENT
from bnspec.conformance.cases.values import INPUT_TYPES
from bnspec.contract import LayerConfig
from bnspec.model.call import TRAINING_GRADIENTS
from bnspec.model.case import Case, Step

DTYPES = ("float32", "float64", "float16", "bfloat16")
FAMILIES = tuple(t.name for t in INPUT_TYPES if t.name not in ("nan", "infinite", "specials"))
KAPPAS = (0.0, 1.0, 1e3, 1e6, 1e8, 1e10, 1e12)
COUNTS = (2, 3, 5, 17, 64, 255, 1000)
Label = tuple[str, Case]

#: Cotangents against an x: at random; in the null space of the backward pass, exactly and but for rounding; one element.
ADVERSARIES: dict[str, Callable[[np.random.RandomState, np.ndarray], np.ndarray]] = {
    "random": lambda rng, x: rng.standard_normal(x.shape),
    "constant": lambda rng, x: np.full(x.shape, 1.0 + rng.randint(1, 9) / 3.0),
    "affine_in_x": lambda rng, x: 3.0 + x / 4.0,
    "normalised_x": lambda rng, x: (x - x.mean(axis=0)) / (x.std(axis=0) + (x.std(axis=0) == 0.0)),
    "one_hot": lambda rng, x: np.eye(1, x.size, rng.randint(x.size)).reshape(x.shape),
    "sorted": lambda rng, x: np.sort(rng.standard_normal(x.shape), axis=0),
}

#: Integers have no NaN and no infinity; "x" needs the case that it is made in.
COTANGENTS = tuple(c for c in EVERY_COTANGENT if c not in ("nan", "infinite", "x"))


def families(seed: int, shape: tuple[int, ...]) -> Iterator[Label]:
    """The suite's own input types, in every dtype, cotangents and epsilons in turn."""
    turn = seed
    for kind in FAMILIES:
        for dtype in DTYPES:
            parameter = dtype if dtype in ("float32", "float64") else "float32"
            cotangent, epsilon = COTANGENTS[turn % len(COTANGENTS)], (1e-5, 2.0**-10, 1e-3)[turn % 3]
            form = Form(shape, 1, dtype, parameter)
            plan = Plan(form, kind, cotangent=cotangent, epsilon=epsilon, decay=(0.9, 0.3)[turn % 2], seed=turn)
            yield f"{kind} {dtype} {cotangent}", batch_norm_case(plan)
            turn += 1


def ill_conditioned(seed: int, counts: tuple[int, ...]) -> Iterator[Label]:
    """float64 with kappa up to 1e12 against every adversary; with and without an epsilon."""
    rng = np.random.RandomState(seed)
    for turn, (kappa, (name, dy_of)) in enumerate((k, a) for k in KAPPAS for a in ADVERSARIES.items()):
        count = counts[turn % len(counts)]
        x = kappa * rng.choice([-1.0, 1.0]) + rng.standard_normal((count, 1))
        epsilon = (1e-5, 0.0)[(turn // 2) % 2]
        yield f"kappa {kappa:g} {name} {count}", case_of(x, dy_of(rng, x), epsilon, rng)


def extremes(seed: int) -> Iterator[Label]:
    """Channels where quad precision is not enough, or hardly: at the ends of the range, one unit in the last place apart."""
    rng = np.random.RandomState(seed)
    one_ulp = np.full((40, 1), 1e300)
    one_ulp[7] = np.nextafter(1e300, np.inf)
    dyadic = rng.randint(-8, 9, (16, 1)) / 4.0
    scattered = np.exp2(rng.randint(-500, 500, (30, 1))) * rng.choice([-1.0, 1.0], (30, 1))
    for label, x in (
        ("one ulp at 1e300", one_ulp),
        ("one ulp at 1e-300", one_ulp / 1e300 * 1e-300),
        ("dyadic", dyadic),
        ("scattered", scattered),
        ("subnormal", rng.randint(-9, 10, (20, 1)) * 2.0**-1074),
        ("two values", np.array([[1.0], [1.0 + 2.0**-52]])),
    ):
        for name, dy_of in ADVERSARIES.items():
            # a variance of 0 needs an epsilon; a tiny one shows that none is needed
            for epsilon in (0.0, 1e-300, 1e-5):
                with np.errstate(over="ignore", under="ignore"):
                    dy = np.nan_to_num(dy_of(rng, x), posinf=1.0, neginf=1.0)
                yield f"{label} {name} epsilon {epsilon:g}", case_of(x, dy, epsilon, rng)
    for level in (1.0, 0.1, 1e300, 2.0**-1074):
        x = np.full((12, 1), level)
        yield f"constant {level:g}", case_of(x, rng.standard_normal(x.shape), 1e-5, rng)
        yield f"constant {level:g} constant", case_of(x, np.full(x.shape, 0.1), 1e-5, rng)


def case_of(x: np.ndarray, dy: np.ndarray, epsilon: float, rng: np.random.RandomState) -> Case:
    """One float64 channel."""
    config = LayerConfig(2, 1, 1, epsilon, 0.9, "float64", "float64")
    gamma, beta = np.array([rng.choice([-0.7, 1.0, 3.1])]), np.array([rng.choice([0.0, 0.3])])
    arrays = {"gamma": gamma, "beta": beta, "running_mean": x[0] * 1.5, "running_var": np.array([0.7])}
    return Case("batch_norm", config, {**arrays, "x": x, "dy": dy}, (Step(TRAINING_GRADIENTS, ("x", "dy")),))


def large(seed: int, count: int) -> Iterator[Label]:
    """One channel of many elements in each dtype, and one with kappa 1e12 whose cotangent lies in the null space."""
    rng = np.random.RandomState(seed)
    for dtype in DTYPES:
        parameter = dtype if dtype in ("float32", "float64") else "float32"
        yield f"large {dtype}", batch_norm_case(Plan(Form((count, 1), 1, dtype, parameter), seed=seed))
    x = 1e12 + rng.standard_normal((count, 1))
    yield "large kappa 1e12", case_of(x, x / 2.0, 1e-5, rng)
