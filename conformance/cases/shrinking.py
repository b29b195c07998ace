"""Shrinks a failing case: smaller and simpler, still failing the same clause.

A case is reduced as data, whatever its origin: the generator, a crash, or a user. Each reduction proposes simpler cases; the
first that still fails is kept; the search ends when none fails or the time is up.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from bnspec.errors import UsageError
from bnspec.model.case import SEPARATOR, Case, Step
from bnspec.model.relations import rederived

Reduction = Callable[[Case], Iterator[Case]]
#: How the names of a training set's parts begin.
CHUNK = "chunk"


def shrink(
    case: Case, fails: Callable[[Case], bool], seconds: float, clock: Callable[[], float] = time.monotonic
) -> Case:
    """The simplest case found for which ``fails`` holds, starting from one for which it holds."""
    end = clock() + seconds
    progress = True
    while progress:
        progress = False
        for reduction in reductions_of(case):
            smaller = _take(case, reduction, fails, end, clock)
            while smaller is not None:
                case, progress = smaller, True
                smaller = _take(case, reduction, fails, end, clock)
            if clock() > end:
                return case
    return case


def _take(
    case: Case, reduction: Reduction, fails: Callable[[Case], bool], end: float, clock: Callable[[], float]
) -> Case | None:
    """The reduction's first proposal that fails twice, which excludes intermittent failures."""
    for proposal in reduction(case):
        if clock() > end:
            return None
        if proposal.id != case.id and fails(proposal) and fails(proposal):
            return proposal
    return None


def rebuilt(
    case: Case, arrays: Mapping[str, np.ndarray], steps: tuple[Step, ...] | None = None, **config: object
) -> Iterator[Case]:
    """The case with other arrays, steps and configuration, if it is valid; derived arrays follow their bases.

    Intentionally malformed calls stay malformed.
    """
    try:
        new = dataclasses.replace(case.config, **config)  # type: ignore[arg-type]
        arrays = joined(case, arrays)
        made = case.with_(arrays=rederived(arrays, new), config=new, steps=case.steps if steps is None else steps)
    except (UsageError, ValueError):  # a mask, say, no longer fits what it masks
        return
    if all(is_malformed(made, step) for step in made.steps if step.refused):
        yield made


def joined(case: Case, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The arrays, with x again the training set whose chunks they hold, where it was: it is compared with fits of the chunks."""
    chunks = [n for n in case.arrays if n.startswith(CHUNK)]
    axis = case.config.reduce_axes[0] if case.config.reduce_axes else 0
    if case.subject != "input_norm" or not chunks or "x" not in case.arrays:
        return arrays
    if not np.array_equal(np.concatenate([case.arrays[n] for n in chunks], axis), case.arrays["x"], equal_nan=True):
        return arrays
    return {**arrays, "x": np.concatenate([arrays[n] for n in chunks], axis)}


def presupposes_its_fit(steps: Sequence[Step]) -> bool:
    """Whether each transform and inverse follows a fit of its scaler, and one in other units a fit of the same data."""
    fit: Step | None = None
    for step in steps:
        if step.call.kind == "fit":
            fit = step
        elif fit is None or step.fresh or (step.option("relation") and fit.inputs != step.inputs):
            return False
    return True


def is_malformed(case: Case, step: Step) -> bool:
    """Whether a call is malformed: its arrays, or a parameter of its layer, do not fit the layer or each other."""
    config = case.config
    shapes = {case.arrays[n].shape for n in step.inputs}
    if len(shapes) > 1 or any(len(s) != config.rank or s[config.channel_axis] != config.channels for s in shapes):
        return True
    given = [case.arrays[v] for name, v in step.options if name in PER_CHANNEL]
    return any(a.shape != (config.channels,) for a in given)


def is_derived(name: str) -> bool:
    """Whether an array is derived from another, as a part of it or by a relation."""
    return name.endswith("]") or SEPARATOR in name


def fewer_layers(case: Case) -> Iterator[Case]:
    """The calls of one layer alone; of a layer and its related layer; of half of the layers."""
    starts = [i for i, step in enumerate(case.steps) if step.fresh or i == 0]
    runs = [case.steps[a:b] for a, b in zip(starts, [*starts[1:], len(case.steps)])]
    if len(runs) < 2:
        return
    chosen: list[tuple[Step, ...]] = list(runs)
    for run in runs:
        related = next((step for step in run if step.option("relation")), None)
        if related is not None:
            like = (other for other in runs if any(is_first(step, related) for step in other))
            chosen += [first + run for first in itertools.islice(like, 1)]
    half = len(runs) // 2
    chosen += [tuple(itertools.chain(*runs[:half])), tuple(itertools.chain(*runs[half:]))]
    for steps in chosen:
        yield from with_steps(case, steps)


def is_first(step: Step, related: Step) -> bool:
    """Whether this step is the first call of a relation."""
    return step.call == related.call and not step.option("relation")


def fewer_steps(case: Case) -> Iterator[Case]:
    """Without one of the calls; if the dropped call built the layer, the next call builds it."""
    for k in range(len(case.steps) - 1, -1, -1):
        kept = list(case.steps[:k] + case.steps[k + 1 :])
        if not kept:
            continue
        if case.steps[k].fresh and k < len(kept) and not kept[k].fresh:
            kept[k] = dataclasses.replace(kept[k], fresh=True)
        yield from with_steps(case, tuple(kept))


def with_steps(case: Case, steps: tuple[Step, ...]) -> Iterator[Case]:
    """The case with these calls and the arrays that they need, if it is valid."""
    used = {n for s in steps for n in s.inputs} | {str(v) for s in steps for _, v in s.options} | set(PER_CHANNEL)
    used |= {n.partition(SEPARATOR)[0] for n in used}  # the bases of derived arrays
    if case.subject == "input_norm" or any(n.endswith("]") for n in used):
        used.add("x")
    if case.subject == "network" or any("repadded" in n for n in used):
        used |= set(case.arrays)
    if case.subject == "input_norm" and presupposes_its_fit(case.steps) and not presupposes_its_fit(steps):
        return
    try:
        yield case.with_(steps=steps, arrays={n: a for n, a in case.arrays.items() if n in used})
    except UsageError:  # an operation between calls cannot come first
        return


def much_smaller(case: Case) -> Iterator[Case]:
    """Axes and channels halved in turn, in one proposal down to a limit of elements: large cases run slowly."""
    for limit in (16, 64, 256):
        small, channels = case, False
        while _elements(small) > limit:
            first, second = (fewer_channels, smaller_axes) if channels else (smaller_axes, fewer_channels)
            fewer = (p for p in itertools.chain(first(small), second(small)) if _total(p) < _total(small))
            halved = next(fewer, None)
            if halved is None:
                break
            small, channels = halved, not channels
        if small is not case and _elements(small) <= limit:
            yield small


def _elements(case: Case) -> int:
    """The number of elements of the largest array."""
    return max(a.size for a in case.arrays.values())


def _total(case: Case) -> int:
    """The number of elements of all arrays. A proposal may leave it: chunks that stay, say, keep what they join to."""
    return sum(a.size for a in case.arrays.values())


def fewer_channels(case: Case) -> Iterator[Case]:
    """Half of the channels, then without one of them."""
    config = case.config
    if has_refused(case):
        return
    for keep in _fewer(config.channels):
        arrays = {
            n: a if n == "mask" or SEPARATOR in n or a.shape[axis] != config.channels else kept(a, keep, axis)
            for n, a in case.arrays.items()
            for axis in [config.channel_axis if a.ndim == config.rank and n not in PER_CHANNEL else 0]
        }
        yield from rebuilt(case, _linked(arrays), channels=len(keep))


def kept(array: np.ndarray, keep: list[int], axis: int) -> np.ndarray:
    """These indices of an axis: for adjacent indices of a view, a view with the same strides; else packed."""
    if array.flags.c_contiguous or keep[-1] - keep[0] != len(keep) - 1:
        return np.take(array, keep, axis=axis)
    return array[(slice(None),) * axis + (slice(keep[0], keep[-1] + 1),)]


def has_refused(case: Case) -> bool:
    """Whether a call is intentionally malformed: cutting its arrays could make it well-formed."""
    return any(s.refused for s in case.steps)


PER_CHANNEL = ("gamma", "beta", "running_mean", "running_var")


def smaller_axes(case: Case) -> Iterator[Case]:
    """A reduced axis at half its extent, then one shorter. Parts of a batch shrink with the whole."""
    config = case.config
    for shape, axis in itertools.product(_shapes(case), config.reduce_axes):
        whole = [n for n in case.arrays if n not in PER_CHANNEL and SEPARATOR not in n]
        of_shape = [n for n in whole if _like(case, n) == shape]
        parts = [n for n in case.arrays if n.endswith("]") and "x" in of_shape]
        for keep in _fewer(shape[axis]):
            arrays, steps = dict(case.arrays), case.steps
            for name in {*of_shape, *parts} if axis != 0 else set(of_shape) - set(parts):
                arrays[name] = kept(case.arrays[name], keep, axis)
            if axis == 0 and parts:
                arrays, steps = _move_part(arrays, steps, keep)
            if arrays:
                yield from rebuilt(case, _linked(arrays), steps)


def _shapes(case: Case) -> list[tuple[int, ...]]:
    """The distinct shapes of whole inputs: x and dy have one, the second batch may have another."""
    whole = [a.shape for n, a in case.arrays.items() if n not in PER_CHANNEL and not is_derived(n) and n != "mask"]
    return [
        shape for shape in dict.fromkeys(whole) if len(shape) == case.config.rank
    ]  # malformed ones may have another


def _like(case: Case, name: str) -> tuple[int, ...]:
    """The shape of an array; for a mask, the shape of the masked array."""
    shape = case.arrays[name].shape
    if name != "mask":
        return shape
    return tuple(case.config.channels if a == case.config.channel_axis else n for a, n in enumerate(shape))


def _move_part(
    arrays: dict[str, np.ndarray], steps: tuple[Step, ...], keep: list[int]
) -> tuple[dict[str, np.ndarray], tuple[Step, ...]]:
    """Rename the part "x[k:k+1]" to the new position of its row; drop it if the row is gone."""
    part = next(n for n in arrays if n.endswith("]"))
    row = int(part[2:].split(":")[0])
    if row not in keep:
        return {}, steps
    new = f"x[{keep.index(row)}:{keep.index(row) + 1}]"
    moved = {new if n == part else n: a for n, a in arrays.items()}
    return moved, tuple(dataclasses.replace(s, inputs=(new,)) if s.inputs == (part,) else s for s in steps)


def _linked(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, with the part of x a view of x again."""
    for name in list(arrays):
        if name.endswith("]") and "x" in arrays:
            begin, end = (int(k) for k in name[2:-1].split(":"))
            if arrays[name].shape[1:] == arrays["x"].shape[1:]:
                arrays[name] = arrays["x"][begin:end]
    return arrays


def _fewer(extent: int) -> Iterator[list[int]]:
    """Halves of a range, then the range without one of its first 8 members; never empty."""
    if extent < 2:
        return
    half = extent // 2
    yield list(range(half))
    yield list(range(half, extent))
    for gone in range(min(extent, 8)):
        yield [k for k in range(extent) if k != gone]


def packed(case: Case) -> Iterator[Case]:
    """All arrays packed; then one at a time."""
    views = [n for n, a in case.arrays.items() if not a.flags.c_contiguous and SEPARATOR not in n]
    if len(views) > 1:
        yield from rebuilt(case, _linked({n: np.ascontiguousarray(a) for n, a in case.arrays.items()}))
    for name in views:
        yield from rebuilt(case, {n: np.ascontiguousarray(a) if n == name else a for n, a in case.arrays.items()})


def fewer_axes(case: Case) -> Iterator[Case]:
    """Rank 2 with the channels on the second axis."""
    config = case.config
    usual = config.rank == 2 and config.channel_axis == 1
    if usual or has_refused(case) or any(n.endswith("]") or n == "mask" for n in case.arrays):
        return
    if any(name in ("rank", "channel_axis") for s in case.steps for name, _ in s.options):
        return
    arrays = {
        n: a if a.ndim != config.rank else np.moveaxis(a, config.channel_axis, -1).reshape(-1, config.channels)
        for n, a in case.arrays.items()
        if SEPARATOR not in n
    }
    arrays.update({n: a for n, a in case.arrays.items() if SEPARATOR in n})
    yield from rebuilt(case, arrays, rank=2, channel_axis=1)


PLAIN: dict[str, tuple[float, ...]] = {"decay": (0.5, 0.0), "epsilon": (1.0, 2.0**-10)}


def plain_numbers(case: Case) -> Iterator[Case]:
    """Plain configuration, parameters and state."""
    if case.subject == "batch_norm":
        for field, plainest_first in PLAIN.items():
            value = getattr(case.config, field)
            # only simpler values, so that two failing values do not alternate
            better = plainest_first[: plainest_first.index(value)] if value in plainest_first else plainest_first
            for plain_value in better:
                steps = with_epsilon(case, plain_value) if field == "epsilon" else case.steps
                yield from rebuilt(case, case.arrays, steps, **{field: plain_value})
    for name, plain in (("gamma", 1.0), ("beta", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        if name in case.arrays and (case.arrays[name].astype(np.float64) != plain).any():
            yield from rebuilt(case, {**case.arrays, name: np.full_like(case.arrays[name], plain)})


def with_epsilon(case: Case, epsilon: float) -> tuple[Step, ...]:
    """The steps after a change of the case's epsilon: a layer's own epsilon keeps its ratio to it, or its difference."""

    def moved(step: Step) -> Step:
        own, old = step.option("epsilon"), case.config.epsilon
        if own is None or not old:
            return step
        scaled = str(step.option("relation", "")).startswith("scaled")
        new = epsilon * (own / old) if scaled else epsilon + (own - old)
        return dataclasses.replace(step, options=tuple((k, new if k == "epsilon" else v) for k, v in step.options))

    return tuple(moved(step) for step in case.steps)


def plain_values(case: Case) -> Iterator[Case]:
    """Inputs rounded to 1, 3 or 6 significant bits, or set to zero, except cotangents: zeros would reveal only non-finite results."""
    for name in [n for n in case.arrays if n not in PER_CHANNEL and not is_derived(n) and n != "mask"]:
        array = case.arrays[name]
        if array.size > 4096:
            continue
        plainest = [] if name.startswith(("dy", "v")) else [np.zeros(array.shape)]
        for rounded in (*plainest, *(_significant(array, bits) for bits in (1, 3, 6))):
            new = rounded.astype(array.dtype)
            if not np.array_equal(new, array, equal_nan=True):
                yield from rebuilt(case, _linked({**case.arrays, name: new}))


def _significant(array: np.ndarray, bits: int) -> np.ndarray:
    """The values rounded to this many significant bits."""
    mantissa, exponent = np.frexp(array.astype(np.float64))
    with np.errstate(invalid="ignore"):
        return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


REDUCTIONS: tuple[Reduction, ...] = (
    fewer_layers,
    much_smaller,
    fewer_steps,
    fewer_channels,
    smaller_axes,
    packed,
    fewer_axes,
    plain_numbers,
    plain_values,
)


def reductions_of(case: Case) -> tuple[Reduction, ...]:
    """The reductions of a case; of a network only those of its calls, since its arrays are tied to each other."""
    return (fewer_layers, fewer_steps) if case.subject == "network" else REDUCTIONS
