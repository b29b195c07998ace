"""One number for each element of somebody's results: its error, as a multiple of what rounding may do to it."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from bnspec.errors import UsageError
from bnspec.model.call import MODES, Mode, call_of
from bnspec.model.case import Case, Step
from bnspec.model.conventions import DTYPES, Conventions
from bnspec.model.layer import LayerConfig
from bnspec.model.vocabulary import Tier
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.oracle import Oracle

Array = np.ndarray
#: With it no decay was given: the running statistics are not judged.
NO_DECAY = 1.0
RUNNING = ("running_mean", "running_var")
#: The arrays besides x, in the order of ``refuse``.
GIVEN = ("dy", "gamma", "beta", *RUNNING)
#: What is not given.
DEFAULTS = {"gamma": 1.0, "beta": 0.0, "running_mean": 0.0, "running_var": 1.0}


def ratios(
    results: Mapping[str, Array],
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    epsilon: float,
    channel_axis: int = 1,
    mode: Mode = "training",
    dy: Array | None = None,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    decay: float | None = None,
    conventions: Conventions | None = None,
    tier: Tier = "permissive",
) -> dict[str, Array]:
    """error / bound of each element of each result; at most 1 conforms, and NaN where the definition says nothing.

    Args:
        results: by name: y; dx, dgamma and dbeta with ``dy``, the cotangent of y; running_mean and running_var after a training
            step with ``decay``, the weight of the old value.
        x, dy: of one shape, in float64, float32, float16 or bfloat16; gamma, beta, running_mean, running_var: shape (C,), one dtype.
        gamma, beta: 1 and 0 where only the other one is given. running_mean, running_var: before the call; 0 and 1 by default in training.
        conventions: of the implementation, such as ``Conventions(running_correction=1)``.
        tier: "lenient" admits every textbook formula, "permissive" every order of summation of a stable one, "good" is what blocked
            or pairwise sums reach.
    Returns: arrays shaped like the results.
    Raises: UsageError: a result that follows from nothing that was given, or arrays that do not fit.
    """
    given = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
    refuse(results, x, channel_axis, epsilon, mode, conventions, tier, [dy, *given.values()])
    x, axis = np.asarray(x), channel_axis % np.ndim(x)
    known = [np.asarray(a) for a in given.values() if a is not None]
    kind, affine = known[0].dtype if known else x.dtype, gamma is not None or beta is not None
    arrays: dict[str, Array] = {n: np.asarray(a) for n, a in given.items() if a is not None}
    for name in DEFAULTS if affine else RUNNING:
        arrays.setdefault(name, np.full(x.shape[axis], DEFAULTS[name], kind))
    arrays["x"] = x
    if dy is not None:
        arrays["dy"] = np.asarray(dy)
    weight = NO_DECAY if decay is None else decay
    config = LayerConfig(x.ndim, axis, x.shape[axis], epsilon, weight, x.dtype.name, kind.name, affine)
    step = Step(
        call_of(mode, "forward" if dy is None else "gradients"), ("x",) if dy is None else ("x", "dy"), fresh=True
    )
    case = Case("batch_norm", config, arrays, (step,))
    with np.errstate(all="ignore"):
        expected = Oracle(case).expect(step, arrays, conventions or Conventions())
        if decay is None:
            expected = {n: e for n, e in expected.items() if not n.startswith("running_")}
        if unknown := [n for n in results if n not in expected]:
            raise UsageError(
                f"{unknown[0]!r} cannot be judged.",
                f"from what was given follow {', '.join(expected) or 'no results: x has no elements'}.",
                "give dy for gradients and decay for running statistics, or correct the name.",
            )
        return {n: ratios_of(np.asarray(a), expected[n], tier) for n, a in results.items()}


def refuse(
    results: Any,
    x: Any,
    channel_axis: Any,
    epsilon: Any,
    mode: Any,
    conventions: Any,
    tier: Any,
    others: Sequence[Any],
) -> None:
    """Raise UsageError for arguments of which no case can be made."""

    def demand(holds: bool, what: str, why: str, fix: str) -> None:
        if not holds:
            raise UsageError(what, why, fix)

    demand(
        isinstance(results, Mapping) and bool(results),
        f"results is {'empty' if isinstance(results, Mapping) else 'a ' + type(results).__name__}.",
        "each result is judged by its name.",
        "give a dict: {'y': y}, or with dx, dgamma, dbeta, running_mean, running_var.",
    )
    for name, array in (("x", x), *((n, a) for n, a in zip(GIVEN, others, strict=True) if a is not None)):
        dtype = np.asarray(array).dtype.name if hasattr(array, "dtype") else f"none: it is a {type(array).__name__}"
        demand(
            dtype in DTYPES,
            f"{name} has dtype {dtype}.",
            "the bound of an element depends on its dtype.",
            f"give an array of {', '.join(DTYPES)}.",
        )
    for name, result in results.items():
        kind = np.asarray(result).dtype
        demand(
            kind.name in DTYPES,
            f"{name} has dtype {kind.name}.",
            "results are floating-point numbers.",
            f"give an array of {', '.join(DTYPES)}.",
        )
    rank = np.ndim(x)
    demand(
        rank >= 2, f"x has shape {np.shape(x)}.", "it has a batch axis and a channel axis.", "give x of rank 2 or more."
    )
    demand(
        isinstance(channel_axis, int) and -rank <= channel_axis < rank,
        f"channel_axis is {channel_axis!r}.",
        f"x has shape {np.shape(x)}.",
        f"give a number from {-rank} to {rank - 1}.",
    )
    number = isinstance(epsilon, numbers.Real)
    demand(number, f"epsilon is {epsilon!r}.", "it is added to the variance.", "give a number.")
    demand(mode in MODES, f"mode is {mode!r}.", f"the modes are {' and '.join(MODES)}.", "choose one of them.")
    demand(
        tier in get_args(Tier),
        f"tier is {tier!r}.",
        f"the tiers are {', '.join(get_args(Tier))}.",
        "choose one of them.",
    )
    demand(
        conventions is None or isinstance(conventions, Conventions),
        f"conventions is a {type(conventions).__name__}.",
        "they are checked when they are made.",
        "give bnspec.contract.Conventions(running_correction=1), for example.",
    )
    demand(
        mode != "inference" or all(a is not None for a in others[-2:]),
        "inference lacks running statistics.",
        "x is normalised by them.",
        "give running_mean and running_var.",
    )
