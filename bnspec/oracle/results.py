"""One number for each element of somebody's results: its error, as a multiple of what rounding may do to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnspec.errors import UsageError
from bnspec.model.call import Mode, call_of
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.layer import LayerConfig
from bnspec.model.vocabulary import Tier
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.oracle import Oracle

Array = np.ndarray
#: With it no decay was given: the running statistics are not judged.
NO_DECAY = 1.0


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
        running_mean, running_var: before the call; 0 and 1 by default.
        conventions: of the implementation, such as ``Conventions(running_correction=1)``.
        tier: "lenient" admits every textbook formula, "permissive" every order of summation of a stable one, "good" is what blocked
            or pairwise sums reach.
    Returns: arrays shaped like the results.
    Raises: UsageError: a result that follows from nothing that was given, or arrays that do not fit.
    """
    x, channels = np.asarray(x), np.shape(x)[channel_axis]
    given = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
    known = [np.asarray(a) for a in given.values() if a is not None]
    kind = known[0].dtype if known else x.dtype
    affine = gamma is not None and beta is not None
    arrays: dict[str, Array] = {n: np.asarray(a) for n, a in given.items() if a is not None and (affine or n[0] == "r")}
    arrays.setdefault("running_mean", np.zeros(channels, kind))
    arrays.setdefault("running_var", np.ones(channels, kind))
    arrays["x"] = x
    if dy is not None:
        arrays["dy"] = np.asarray(dy)
    weight = NO_DECAY if decay is None else decay
    config = LayerConfig(x.ndim, channel_axis % x.ndim, channels, epsilon, weight, x.dtype.name, kind.name, affine)
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
                f"from what was given follow {', '.join(expected)}.",
                "give dy for gradients and decay for running statistics, or correct the name.",
            )
        return {n: ratios_of(np.asarray(a), expected[n], tier) for n, a in results.items()}
