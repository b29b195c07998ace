"""The oracle's answers for a batch with padding: those of the batch without padding, placed at the kept positions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from bnspec.model.case import Case, Step
from bnspec.model.vocabulary import Tier
from bnspec.oracle.expected import Expected, PerTier


def compacted(case: Case, step: Step) -> tuple[Case, np.ndarray]:
    """The masked call as a case without padding, with rows of shape (kept, C), and the positions of the kept rows in x.

    Returns: a case of rank 2 whose step takes "x" and, with gradients, "dy"; a mask of x's shape without the channel axis.
    """
    config = case.config
    kept = np.moveaxis(case.arrays[step.inputs[-1]], config.channel_axis, -1)[..., 0].astype(bool)
    arrays = {n: a for n, a in case.arrays.items() if n in ("gamma", "beta", "running_mean", "running_var")}
    for name in step.inputs[:-1]:
        arrays[name] = np.moveaxis(case.arrays[name], config.channel_axis, -1)[kept]
    rows = Step(step.call.without_mask, step.inputs[:-1], fresh=True)
    flat = case.with_(config=dataclasses.replace(config, rank=2, channel_axis=1), arrays=arrays, steps=(rows,))
    return flat, kept


def spread_out(answers: Mapping[str, Expected], kept: np.ndarray, channel_axis: int) -> dict[str, Expected]:
    """The answers for the kept rows, at their positions in x: on the padding dx is 0 and y is not judged."""
    whole = {}
    for name, answer in answers.items():
        if name not in ("y", "dx"):
            whole[name] = answer
            continue
        value = _scattered(answer.value, kept, channel_axis, 0.0)
        padding = math.nan if name == "y" else 0.0
        whole[name] = Expected(value, _spread(answer.bounds, kept, channel_axis, padding))
    return whole


def _spread(
    bounds: Mapping[Tier, np.ndarray], kept: np.ndarray, channel_axis: int, padding: float
) -> PerTier[np.ndarray]:
    """The bounds of each tier, at their positions."""
    return PerTier(lambda tier: _scattered(bounds[tier], kept, channel_axis, padding))


def _scattered(rows: np.ndarray, kept: np.ndarray, channel_axis: int, padding: float) -> np.ndarray:
    """Rows of shape (kept, C) scattered to the kept positions, in x's shape; ``padding`` elsewhere."""
    whole = np.full((*kept.shape, rows.shape[-1]), padding, rows.dtype)
    whole[kept] = rows
    return np.moveaxis(whole, -1, channel_axis)
