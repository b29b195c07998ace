"""The features of a case that a deviation may need, and the same case with a feature at its ordinary value."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from bnspec.conformance.cases.shrinking import PER_CHANNEL, fewer_axes, is_derived, rebuilt, with_epsilon
from bnspec.conformance.causes.calls import (
    given_values,
    history_value,
    initial_value,
    one_thread,
    threads_value,
    without_history,
)
from bnspec.model.buffers import pack
from bnspec.model.case import Case

#: Below this count a case has few values per channel; beyond this extent an axis is long.
ORDINARY_COUNT, ORDINARY_CHANNELS, LONG = 16, 3, 16
#: So small that a layer of ordinary variance does not depend on it, in float32 and in float64.
NEGLIGIBLE_EPSILON, NEGLIGIBLE_IN_FLOAT64 = 2.0**-40, 2.0**-80
ORDINARY_DECAY = 0.9
#: Not those of a new layer: a variance of 1 is its own root and its own inverse.
ORDINARY_STATE = {"running_mean": 0.25, "running_var": 2.0}
FLOATING = ("float16", "bfloat16", "float32", "float64")
COTANGENTS = ("dy", "v")
#: Values that the clauses on special values and on degenerate counts speak of.
NOT_FINITE, CONSTANT, OVERFLOWING = "NaN or infinite", "constant in a channel", "so large that squares overflow"
KINDS_OF_VALUES = frozenset({NOT_FINITE, CONSTANT, OVERFLOWING})


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature of a case.

    Attributes:
        name: for readers; ordinary: its ordinary value, in words.
        value: the case's own value, in words; "" where that is the ordinary one.
        changed: the case with the ordinary value; None where there is no such case. The number is that of the step that
            deviates.
        changes: other features that become ordinary with this one: where one of them is needed, this one is not.
        control: the case in which only those become ordinary: a deviation that needs them, and not this feature, disappears
            there. None where nothing else changes.
        alone: the case in which only this feature becomes ordinary, for a deviation that needs the
            state, too.
    """

    name: str
    ordinary: str
    value: Callable[[Case, int], str]
    changed: Callable[[Case, int], Case | None]
    changes: frozenset[str] = frozenset()
    control: Callable[[Case, int], Case | None] | None = None
    alone: Callable[[Case, int], Case | None] | None = None


def whole_inputs(case: Case) -> list[str]:
    """The floating inputs that are neither parts of others nor derived from them; none of a network, whose arrays are tied."""
    if case.subject == "network":
        return []
    own = (n for n in case.arrays if n not in PER_CHANNEL and not is_derived(n) and n != "mask")
    return [n for n in own if case.arrays[n].dtype.name in FLOATING and case.arrays[n].ndim == case.config.rank]


def _first(cases: Iterable[Case]) -> Case | None:
    return next(iter(cases), None)


def _with_arrays(case: Case, changes: dict[str, np.ndarray], **config: Any) -> Case | None:
    """The case with other arrays, its parts of x cut from the new x."""
    arrays = {**case.arrays, **changes}
    for name in [n for n in arrays if n.endswith("]") and "x" in changes]:
        begin, end = (int(k) for k in name[2:-1].split(":"))
        arrays[name] = arrays["x"][begin:end]
    return _first(rebuilt(case, arrays, **config))


def _packed(array: np.ndarray) -> np.ndarray:
    return np.array(array, order="C", copy=True)


def _views(case: Case, among: Iterable[str]) -> list[str]:
    """Those arrays that are not packed at the start of a buffer of their own."""
    specs, _ = pack(case.arrays)
    users = Counter(s["buffer"] for n, s in specs.items() if not is_derived(n))
    return [
        n
        for n in among
        if n in specs and (specs[n]["offset"] or users[specs[n]["buffer"]] > 1 or not case.arrays[n].flags.c_contiguous)
    ]


def _layout(name: str, chosen: Callable[[Case], list[str]]) -> Feature:
    def value(case: Case, _: int) -> str:
        specs = pack(case.arrays)[0]
        views = _views(case, chosen(case))
        return "; ".join(f"{n} strides {tuple(specs[n]['strides'])} offset {specs[n]['offset']}" for n in views)

    def changed(case: Case, _: int) -> Case | None:
        return _with_arrays(case, {n: _packed(case.arrays[n]) for n in _views(case, chosen(case))})

    return Feature(name, "packed", value, changed)


def _inputs(case: Case) -> list[str]:
    return [n for n in whole_inputs(case) if not n.startswith(COTANGENTS)]


def _cotangents(case: Case) -> list[str]:
    return [n for n in whole_inputs(case) if n.startswith(COTANGENTS)]


def _dtype_value(case: Case, _: int) -> str:
    config = case.config
    own = {config.dtype, config.parameter_dtype}
    if own == {"float32"}:
        return ""
    return config.dtype if len(own) == 1 else f"x {config.dtype}, parameters {config.parameter_dtype}"


def _laid_out_like(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The values with the strides of an array of this shape, counted in elements."""
    steps = [s // like.itemsize for s in like.strides]
    ends = [s * (n - 1) for s, n in zip(steps, like.shape)]
    if like.flags.c_contiguous or not like.size or 0 in steps:
        return values
    first = -sum(e for e in ends if e < 0)
    memory = np.zeros(first + sum(e for e in ends if e > 0) + 1, values.dtype)
    view = np.lib.stride_tricks.as_strided(memory[first:], like.shape, [s * values.itemsize for s in steps])
    view[...] = values
    return view


def _in_float32(case: Case, _: int) -> Case | None:
    arrays = {n: _laid_out_like(a.astype(np.float32), a) for n, a in case.arrays.items() if a.dtype.name in FLOATING}
    return _with_arrays(case, arrays, dtype="float32", parameter_dtype="float32")


def _rank_value(case: Case, _: int) -> str:
    config = case.config
    usual = config.rank == 2 and config.channel_axis == 1
    return "" if usual else f"rank {config.rank}, channel axis {config.channel_axis}"


def _in_rank_two(case: Case, _: int) -> Case | None:
    """Rank 2; not of a network, in which arrays of the rank of x are weights, too."""
    return None if case.subject == "network" else _first(fewer_axes(case))


def _keeps_malformed(case: Case) -> bool:
    """Whether other counts leave the malformed calls malformed, and for the same reason: those of one whole input."""
    whole = whole_inputs(case)
    return all(len(s.inputs) == 1 and s.inputs[0] in whole for s in case.steps if s.refused)


def _few(case: Case) -> bool:
    """Whether a whole input has fewer values per channel than is ordinary."""
    return any(case.arrays[n].size < ORDINARY_COUNT * case.config.channels for n in whole_inputs(case))


def _count_value(case: Case, _: int) -> str:
    if not _few(case) or case.subject in ("layer_norm", "input_norm"):
        return ""
    least = min(case.arrays[n].size // max(case.config.channels, 1) for n in whole_inputs(case))
    return f"{least} value{'s' * (least != 1)} per channel"


def _more_values(case: Case, _: int) -> Case | None:
    """Whole inputs repeated along a reduced axis; empty ones with new values."""
    config = case.config
    if not config.reduce_axes or "mask" in case.arrays:  # what a longer mask would keep, nobody can say
        return None
    if not _keeps_malformed(case):
        return None
    axis = config.reduce_axes[0]
    changes = {}
    for name in whole_inputs(case):
        array = case.arrays[name]
        if not array.size:
            shape = tuple(n or ORDINARY_COUNT for n in array.shape)
            changes[name] = ordinary_values(name, shape, array.dtype)
        else:
            times = math.ceil(ORDINARY_COUNT * config.channels / max(array.size, 1))
            changes[name] = np.concatenate([array] * times, axis)
    return _with_arrays(case, changes)


def _channel_axis_of(case: Case, name: str) -> int | None:
    """The axis of an array that holds the channels; None where it has none."""
    array = case.arrays[name]
    if name in PER_CHANNEL or array.ndim == 1:
        return 0
    return case.config.channel_axis if array.ndim == case.config.rank else None


def _resized(case: Case, indices: list[int]) -> Case | None:
    """The case with these channels; not of a mask, nor of a network, whose weights have as many."""
    if "mask" in case.arrays or case.subject == "network":
        return None
    arrays = {}
    for name, array in case.arrays.items():
        axis = _channel_axis_of(case, name)
        if axis is not None and not is_derived(name) and array.shape[axis] == case.config.channels:
            arrays[name] = np.take(array, indices, axis)
    return _with_arrays(case, arrays, channels=len(indices))


def _extents_value(case: Case, _: int) -> str:
    shapes = [case.arrays[n].shape for n in whole_inputs(case)]
    long = any(s[a] > LONG for s in shapes for a in case.config.reduce_axes)
    return f"x has shape {max(shapes, key=math.prod)}" if long else ""


def _short(case: Case, _: int) -> Case | None:
    cut = tuple(
        slice(None, LONG // 2) if a in case.config.reduce_axes else slice(None) for a in range(case.config.rank)
    )
    if "mask" in case.arrays or not _keeps_malformed(case):
        return None
    return _with_arrays(case, {n: _packed(case.arrays[n][cut]) for n in whole_inputs(case)})


def ordinary_values(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Values near 0 with a standard deviation near 1, the same ones for the same name and shape."""
    seed = sum(name.encode()) + 1000 * len(shape)
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


def _kind_of_values(case: Case, names: list[str]) -> str:
    """The most particular thing about the values of these arrays; a small case shows the rest."""
    wide = [case.arrays[n].astype(np.float64) for n in names if case.arrays[n].size]
    largest = float(np.finfo("float64" if case.config.dtype == "float64" else "float32").max) ** 0.5
    if any(not np.isfinite(a).all() for a in wide):
        return NOT_FINITE
    if any((np.abs(a) > largest).any() for a in wide):
        return OVERFLOWING
    if any((np.ptp(a, axis=case.config.reduce_axes) == 0).any() for a in wide):
        return CONSTANT
    return "as in the case" if wide else ""


def _values(name: str, chosen: Callable[[Case], list[str]]) -> Feature:
    def value(case: Case, _: int) -> str:
        return (
            "" if case.subject == "input_norm" else _kind_of_values(case, chosen(case))
        )  # chunks are parts of the whole

    def changed(case: Case, _: int) -> Case | None:
        arrays = _ordinary(case, chosen(case))
        return None if arrays is None else _with_arrays(case, arrays)

    return Feature(name, "standard normal", value, changed)


def _ordinary(case: Case, names: list[str]) -> dict[str, np.ndarray] | None:
    """Ordinary values in the layout of these arrays; None where elements share memory, and no others are laid out like them."""
    arrays = {n: case.arrays[n] for n in names}
    if any(0 in a.strides and not a.flags.c_contiguous for a in arrays.values()):
        return None
    return {n: _laid_out_like(ordinary_values(n, a.shape, a.dtype), a) for n, a in arrays.items()}


def _parameter(names: dict[str, float], feature: str) -> Feature:
    def others(case: Case) -> dict[str, np.ndarray]:
        there = {n: case.arrays[n] for n in names if n in case.arrays}
        return {n: a for n, a in there.items() if not (a.astype(np.float64) == names[n]).all()}

    def value(case: Case, _: int) -> str:
        found = others(case)
        if any(not np.isfinite(a.astype(np.float64)).all() for a in found.values()):
            return NOT_FINITE
        return "; ".join(f"{n} {np.array2string(a.astype(np.float64)[:3], separator=', ')}" for n, a in found.items())

    def changed(case: Case, _: int) -> Case | None:
        return _with_arrays(case, {n: np.full(a.shape, names[n], a.dtype) for n, a in others(case).items()})

    return Feature(feature, ", ".join(f"{n} {v:g}" for n, v in names.items()), value, changed)


def _without_affine(case: Case, _: int) -> str:
    return "no gamma and beta" if case.subject == "batch_norm" and not case.config.affine else ""


def _with_affine(case: Case, _: int) -> Case | None:
    size, dtype = case.config.channels, case.arrays["running_mean"].dtype
    return _with_arrays(case, {"gamma": np.ones(size, dtype), "beta": np.zeros(size, dtype)}, affine=True)


def _epsilon_value(case: Case, _: int) -> str:
    return f"{case.config.epsilon:g}" if case.subject != "input_norm" and case.config.epsilon else ""


def _small_epsilon_value(case: Case, step: int) -> str:
    return _epsilon_value(case, step) if case.config.epsilon <= NEGLIGIBLE_EPSILON else ""


def _decay_value(case: Case, _: int) -> str:
    usual = case.subject != "batch_norm" or case.config.decay == ORDINARY_DECAY
    return "" if usual else f"{case.config.decay:g}"


def _ordinary_decay(case: Case, _: int) -> Case | None:
    return _first(rebuilt(case, case.arrays, decay=ORDINARY_DECAY))


def _larger_variances(case: Case, _: int) -> Case | None:
    """Ordinary values, and variances beside which a tiny epsilon is nothing."""
    names = _inputs(case)
    arrays = (
        {n: case.arrays[n] for n in names} if _kind_of_values(case, names) == NOT_FINITE else _ordinary(case, names)
    )
    if arrays is None:
        return None
    if "running_var" in case.arrays:
        own = case.arrays["running_var"]
        arrays["running_var"] = np.where(np.abs(own) < 1, own.dtype.type(2), own).astype(own.dtype)
    return _with_arrays(case, arrays)


def _negligible_epsilon(case: Case, step: int) -> Case | None:
    """A tiny epsilon, and larger variances."""
    changed = _larger_variances(case, step)
    if changed is None:
        return None
    return _of_epsilon(changed, NEGLIGIBLE_IN_FLOAT64 if case.config.dtype == "float64" else NEGLIGIBLE_EPSILON)


def _negligible_epsilon_alone(case: Case, _: int) -> Case | None:
    """A tiny epsilon beside the same variances."""
    return _of_epsilon(case, NEGLIGIBLE_IN_FLOAT64)


def _of_epsilon(case: Case, epsilon: float) -> Case | None:
    return _first(rebuilt(case, case.arrays, with_epsilon(case, epsilon), epsilon=epsilon))


VALUES_OF_X = _values("values of x", _inputs)
STATE = _parameter(ORDINARY_STATE, "state")
#: The features that are values of inputs.
VALUES = (VALUES_OF_X.name, "values of dy")
#: Arrays of another shape are packed: what needs a layout may not need the shape.
LAYOUTS = frozenset({"layout of x", "layout of dy"})
#: In the order in which they are made ordinary: values early, so that the others are examined on ordinary values, and after
#: the count, since one value is constant. dy before x: a constant dy hides what x does to dx.
FEATURES: tuple[Feature, ...] = (
    Feature(
        "one channel",
        f"{ORDINARY_CHANNELS} channels",
        lambda case, _: "1 channel" if case.config.channels == 1 else "",
        lambda case, _: _resized(case, [0] * ORDINARY_CHANNELS),
        LAYOUTS,
    ),
    Feature("count", f"at least {ORDINARY_COUNT} values per channel", _count_value, _more_values, LAYOUTS),
    _values(VALUES[1], _cotangents),
    VALUES_OF_X,
    STATE,
    _layout("layout of x", _inputs),
    _layout("layout of dy", _cotangents),
    _layout("layout of the parameters", lambda case: [n for n in PER_CHANNEL if n in case.arrays]),
    Feature("dtype", "float32", _dtype_value, _in_float32),
    Feature("threads", "1 thread", threads_value, one_thread),
    Feature("history", "a new layer", history_value, without_history),
    Feature("rank", "rank 2, channel axis 1", _rank_value, _in_rank_two, LAYOUTS),
    Feature("extents", f"at most {LONG // 2} along an axis", _extents_value, _short, LAYOUTS),
    Feature(
        "many channels",
        f"{ORDINARY_CHANNELS} channels",
        lambda case, _: f"{case.config.channels} channels" if case.config.channels > LONG else "",
        lambda case, _: _resized(case, list(range(ORDINARY_CHANNELS))),
        LAYOUTS,
    ),
    Feature("initial values", "given parameters and state", initial_value, given_values),
    Feature("affine", "with gamma and beta", _without_affine, _with_affine),
    _parameter({"gamma": 1.0}, "gamma"),
    _parameter({"beta": 0.0}, "beta"),
    Feature(
        "epsilon",
        "negligible beside the variance",
        _epsilon_value,
        _negligible_epsilon,
        frozenset({"values of x", "state"}),
        _larger_variances,
        _negligible_epsilon_alone,
    ),
    # what a negligible epsilon leaves may need that it is small
    Feature(
        "epsilon",
        "1",
        _small_epsilon_value,
        lambda case, _: _of_epsilon(case, 1.0),
        frozenset({"values of x", "state"}),
    ),
    Feature("decay", f"{ORDINARY_DECAY:g}", _decay_value, _ordinary_decay),
)
