"""Metamorphic relations between two calls: derived arguments, and the expected relation of the results.

The arguments of the second call are *derived* from those of the first: "x|twice" is x, twice. Derived arrays are
recomputed whenever their base changes, so a case stays valid while it is shrunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bnspec.model.case import SEPARATOR
from bnspec.model.layer import LayerConfig

Array = np.ndarray


def _along(config: LayerConfig) -> int:
    """The reduced axis to reverse or repeat: the first."""
    return config.reduce_axes[0]


def _flip_channels(array: Array, config: LayerConfig) -> Array:
    return np.flip(array, config.channel_axis if array.ndim == config.rank else 0)


def _rows(array: Array, config: LayerConfig) -> Array:
    return np.moveaxis(array, config.channel_axis, -1).reshape(-1, config.channels)


def _times(array: Array, factor: str) -> Array:
    return array * array.dtype.type(float(factor))


def _plus(array: Array, term: str) -> Array:
    return array + array.dtype.type(float(term))


DERIVED: Mapping[str, Callable[[Array, LayerConfig, str], Array]] = {
    "flipped": lambda a, config, _: np.flip(a, _along(config)),
    "channels_flipped": lambda a, config, _: _flip_channels(a, config),
    "twice": lambda a, config, _: np.concatenate([a, a], _along(config)),
    "rows": lambda a, config, _: _rows(a, config),
    "packed": lambda a, config, _: a,
    "times": lambda a, config, factor: _times(a, factor),
    "plus": lambda a, config, term: _plus(a, term),
    "bytes": lambda a, config, _: a.astype(np.uint8),
    "words": lambda a, config, _: a.astype(np.int32),
    "with_flipped": lambda a, config, _: np.logical_or(a, np.flip(a, _along(config))),
}


def derived(name: str, arrays: Mapping[str, Array], config: LayerConfig) -> Array:
    """The array for a name like "x|flipped" or "x|times:4": always packed, in its own memory.

    Raises KeyError: the base is missing, or there is no such derivation.
    """
    base, _, how = name.partition(SEPARATOR)
    word, _, number = how.partition(":")
    if word == "repadded":
        return np.where(arrays["mask"].astype(bool), arrays[base], arrays[base].dtype.type(float(number)))
    with np.errstate(all="ignore"):
        return np.array(DERIVED[word](arrays[base], config, number), order="C", copy=True)


def rederived(arrays: Mapping[str, Array], config: LayerConfig) -> dict[str, Array]:
    """The arrays, with derived ones recomputed from their bases."""
    return {n: derived(n, arrays, config) if SEPARATOR in n else a for n, a in arrays.items()}


@dataclass(frozen=True)
class Relation:
    """How the results of the related call follow from those of the first call.

    Attributes:
        clause: the clause that requires it.
        follows: by output, the function that gives the related result; its configuration is that of the first call, its number
            the relation's own. Omitted outputs depend on more than the results.
    """

    clause: str
    follows: Mapping[str, Callable[[Array, LayerConfig, float], Array]]


def _same(a: Array, config: LayerConfig, k: float) -> Array:
    return a


def _each(
    outputs: str, follows: Callable[[Array, LayerConfig, float], Array]
) -> dict[str, Callable[[Array, LayerConfig, float], Array]]:
    return dict.fromkeys(outputs.split(), follows)


PARAMETERS = "dgamma dbeta"
STATE = "running_mean running_var"

RELATIONS: Mapping[str, Relation] = {
    "flipped": Relation(
        "training.order_of_elements",
        {**_each("y dx", lambda a, c, k: np.flip(a, _along(c))), **_each(f"{PARAMETERS} {STATE}", _same)},
    ),
    "channels_flipped": Relation(
        "layout.channels_permute", _each(f"y dx {PARAMETERS} {STATE}", lambda a, c, k: _flip_channels(a, c))
    ),
    "rows": Relation(
        "layout.joined_axes",
        {**_each("y dx", lambda a, c, k: _rows(a, c)), **_each(f"{PARAMETERS} {STATE}", _same)},
    ),
    "packed": Relation("layout.copies", _each(f"y dx {PARAMETERS} {STATE}", _same)),
    "threads": Relation("layout.threads", _each(f"y dx {PARAMETERS} {STATE}", _same)),
    "twice": Relation(
        "training.repeated_batch",
        {
            **_each("y dx", lambda a, c, k: np.concatenate([a, a], _along(c))),
            **_each(PARAMETERS, lambda a, c, k: 2.0 * a),
            "running_mean": _same,
        },
    ),
    # x times k, epsilon times k^2; gamma takes the sign of k, so that y is unchanged
    "scaled": Relation(
        "training.scale_equivariant",
        {"y": _same, "dbeta": _same, "dx": lambda a, c, k: a / k, "dgamma": lambda a, c, k: a * np.sign(k)},
    ),
    "shifted": Relation("training.shift_invariant", _each(f"y dx {PARAMETERS}", _same)),
    "decay": Relation("training.ignores_decay", _each(f"y dx {PARAMETERS}", _same)),
    "cotangent": Relation(
        "gradient.linear_in_the_cotangent",
        {"y": _same, **_each(f"dx {PARAMETERS}", lambda a, c, k: a * k), **_each(STATE, _same)},
    ),
    "moved_epsilon": Relation("epsilon.only_the_sum_counts", _each("y dx", _same)),
}
