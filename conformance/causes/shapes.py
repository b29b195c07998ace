"""Shapes as features: rank and channel axis, counts, extents, numbers of channels."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from bnspec.conformance.cases.shrinking import CHUNK, PER_CHANNEL, fewer_axes, is_derived, with_steps
from bnspec.conformance.causes.arrays import first_of, packed, whole_inputs, with_arrays
from bnspec.conformance.causes.feature import Feature
from bnspec.conformance.causes.layouts import LAYOUTS
from bnspec.conformance.causes.values import ordinary_values
from bnspec.model.case import Case

#: Below this count a case has few values per channel; beyond this extent an axis is long.
ORDINARY_COUNT, ORDINARY_CHANNELS, LONG = 16, 3, 16


def _rank_value(case: Case, _: int) -> str:
    config = case.config
    usual = config.rank == 2 and config.channel_axis == 1
    return "" if usual else f"rank {config.rank}, channel axis {config.channel_axis}"


def _in_rank_two(case: Case, _: int) -> Case | None:
    """Rank 2; not of a network, in which arrays of the rank of x are weights, too."""
    return None if case.subject == "network" else first_of(fewer_axes(case))


def _keeps_malformed(case: Case) -> bool:
    """Whether other counts leave the malformed calls malformed, and for the same reason: those of one whole input."""
    whole = whole_inputs(case)
    return all(len(s.inputs) == 1 and s.inputs[0] in whole for s in case.steps if s.refused)


def _few(case: Case) -> bool:
    """Whether a whole input has fewer values per channel than is ordinary."""
    return any(case.arrays[n].size < ORDINARY_COUNT * case.config.channels for n in whole_inputs(case))


def _rows_are_one(case: Case, step: int) -> bool:
    """Whether the whole inputs of a call have one row, and several values per channel in it."""
    config, names = case.config, case.steps[step].inputs
    shapes = [case.arrays[n].shape for n in whole_inputs(case) if n in names]
    if case.subject != "batch_norm" or not config.reduce_axes or not shapes:
        return False
    return all(s[config.reduce_axes[0]] == 1 and math.prod(s[a] for a in config.reduce_axes) > 1 for s in shapes)


def _takes_one_row(case: Case, step: int) -> bool:
    """Whether a call takes one row of a whole input of several."""
    config = case.config
    if case.subject != "batch_norm" or not config.reduce_axes or case.steps[step].refused:
        return False
    parts = [n for n in case.steps[step].inputs if n.endswith("]")]
    return any(case.arrays[n].ndim == config.rank and case.arrays[n].shape[config.reduce_axes[0]] == 1 for n in parts)


def _one_row_value(case: Case, step: int) -> str:
    return "1 row" if _rows_are_one(case, step) or _takes_one_row(case, step) else ""


def _two_rows(case: Case, step: int) -> Case | None:
    """Whole inputs repeated once along the first reduced axis, with what a mask keeps of them; in place of a part the whole input."""
    if not _keeps_malformed(case):
        return None
    if _takes_one_row(case, step):
        made = case.steps[step]
        whole = dataclasses.replace(made, inputs=tuple(n.split("[")[0] for n in made.inputs))
        changed = next(with_steps(case, (*case.steps[:step], whole, *case.steps[step + 1 :])), None)
        if changed is None or not _rows_are_one(changed, step):
            return changed
        case = changed
    axis = case.config.reduce_axes[0]
    changes = {n: np.concatenate([case.arrays[n]] * 2, axis) for n in whole_inputs(case)}
    mask = case.arrays.get("mask")
    if mask is not None:
        if mask.ndim != case.config.rank or mask.shape[axis] != 1:
            return None
        changes["mask"] = np.concatenate([mask] * 2, axis)
    return with_arrays(case, changes)


def _count_value(case: Case, _: int) -> str:
    if not _few(case) or case.subject in ("layer_norm", "input_norm"):
        return ""
    least = min(case.arrays[n].size // max(case.config.channels, 1) for n in whole_inputs(case))
    return f"{least} value{'s' * (least != 1)} per channel"


def _empty_chunks(case: Case) -> list[str]:
    """The chunks of a training set that have no rows, beside others that have some."""
    chunks = [n for n in case.arrays if n.startswith(CHUNK)]
    empty = [n for n in chunks if not case.arrays[n].size]
    return empty if len(empty) < len(chunks) else []


def _without_empty_chunks(case: Case, _: int) -> Case | None:
    """Fits of the other chunks alone."""
    empty = _empty_chunks(case)
    arrays = {n: a for n, a in case.arrays.items() if n not in empty}
    steps = tuple(dataclasses.replace(s, inputs=tuple(n for n in s.inputs if n not in empty)) for s in case.steps)
    return case.with_(arrays=arrays, steps=steps) if all(s.inputs for s in steps if s.call.kind == "fit") else None


def _more_values(case: Case, _: int) -> Case | None:
    """Whole inputs repeated along a reduced axis, with what a mask keeps of them; empty ones with new values."""
    config, whole = case.config, whole_inputs(case)
    mask = case.arrays.get("mask")
    unclear = mask is not None and (mask.ndim != config.rank or any(not case.arrays[n].size for n in whole))
    if not config.reduce_axes or unclear or not _keeps_malformed(case):
        return None
    axis = config.reduce_axes[0]
    changes, times = {}, 1
    for name in whole:
        array = case.arrays[name]
        if not array.size:
            shape = tuple(n or ORDINARY_COUNT for n in array.shape)
            changes[name] = ordinary_values(name, shape, array.dtype)
        else:
            times = math.ceil(ORDINARY_COUNT * config.channels / array.size)
            changes[name] = np.concatenate([array] * times, axis)
    if mask is not None and all(mask.shape[axis] == case.arrays[n].shape[axis] for n in whole):
        changes["mask"] = np.concatenate([mask] * times, axis)
    return with_arrays(case, changes)


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
    return with_arrays(case, arrays, channels=len(indices))


def _extents_value(case: Case, _: int) -> str:
    shapes = [case.arrays[n].shape for n in whole_inputs(case)]
    long = any(s[a] > LONG for s in shapes for a in case.config.reduce_axes)
    return f"x has shape {max(shapes, key=math.prod)}" if long else ""


def _short(case: Case, _: int) -> Case | None:
    """Whole inputs cut along the reduced axes; other extents stay other ones, since a later count may have to be another."""
    if "mask" in case.arrays or not _keeps_malformed(case):
        return None
    whole, reduced = whole_inputs(case), case.config.reduce_axes
    of_axis = {a: sorted({case.arrays[n].shape[a] for n in whole}) for a in reduced}
    cuts = {
        n: tuple(
            slice(LONG // 2 + of_axis[a].index(s) if a in reduced else None) for a, s in enumerate(case.arrays[n].shape)
        )
        for n in whole
    }
    return with_arrays(case, {n: packed(case.arrays[n][cut]) for n, cut in cuts.items()})


def _equal_extents_value(case: Case, _: int) -> str:
    axes = [a for n in whole_inputs(case) for a in _axes_as_long_as_the_channels(case, n)]
    return f"{case.config.channels} channels, and as many along axis {axes[0]}" if axes else ""


def _axes_as_long_as_the_channels(case: Case, name: str) -> list[int]:
    """The reduced axes of an input whose extent is the number of channels, of more than one."""
    config = case.config
    if config.channels < 2 or case.subject != "batch_norm":
        return []
    return [a for a in config.reduce_axes if case.arrays[name].shape[a] == config.channels]


def _of_other_extents(case: Case, _: int) -> Case | None:
    """Whole inputs with a row more along those axes, a repetition of the first."""
    if "mask" in case.arrays or not _keeps_malformed(case):
        return None
    changes = {}
    for name in whole_inputs(case):
        array = case.arrays[name]
        for axis in _axes_as_long_as_the_channels(case, name):
            array = np.concatenate([array, array.take([0], axis)], axis)
        changes[name] = array
    return with_arrays(case, changes)


EQUAL_EXTENTS = Feature(
    "equal extents", "extents other than the number of channels", _equal_extents_value, _of_other_extents, LAYOUTS
)
EMPTY_CHUNK = Feature(
    "empty chunk",
    "chunks with rows",
    lambda case, _: "a chunk without rows" if _empty_chunks(case) else "",
    _without_empty_chunks,
)
ONE_CHANNEL = Feature(
    "one channel",
    f"{ORDINARY_CHANNELS} channels",
    lambda case, _: "1 channel" if case.config.channels == 1 else "",
    lambda case, _: _resized(case, [0] * ORDINARY_CHANNELS),
    LAYOUTS,
)
#: One row of several values per channel: a batch of one sample.
ONE_ROW = Feature("one row", "2 rows", _one_row_value, _two_rows, LAYOUTS)
COUNT = Feature(
    "count", f"at least {ORDINARY_COUNT} values per channel", _count_value, _more_values, LAYOUTS | {ONE_ROW.name}
)
RANK = Feature(
    "rank", "rank 2, channel axis 1", _rank_value, _in_rank_two, LAYOUTS | {EQUAL_EXTENTS.name, ONE_ROW.name}
)
EXTENTS = Feature("extents", f"at most {LONG // 2} along an axis", _extents_value, _short, LAYOUTS)
MANY_CHANNELS = Feature(
    "many channels",
    f"{ORDINARY_CHANNELS} channels",
    lambda case, _: f"{case.config.channels} channels" if case.config.channels > LONG else "",
    lambda case, _: _resized(case, list(range(ORDINARY_CHANNELS))),
    LAYOUTS,
)
