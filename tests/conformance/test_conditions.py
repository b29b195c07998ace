"""What the cases of every seed meet: values, parameters, settings and extents on which kernels take other paths.

A fault shows only where its condition is met, in the call that has it. A condition that no case meets is a fault that nobody sees.
"""

from __future__ import annotations

import collections
import functools
import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from bnspec.conformance.cases.catalogue import large_cases
from bnspec.conformance.cases.effort import fixed_cases
from bnspec.model.call import (
    CLONE,
    FIT,
    FREEZE,
    INFERENCE,
    INFERENCE_GRADIENTS,
    INVERSE,
    RESET,
    SAVE_RESTORE,
    SET_DECAY,
    SWAP,
    TRAINING,
    TRAINING_GRADIENTS,
    TRAINING_LATE_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_SECOND_ORDER,
    TRAINING_STATE_GRADIENTS,
    TRAINING_TANGENT,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
    TRANSFORM,
    UNFREEZE,
    Call,
)
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES

CALLS = (TRAINING, TRAINING_GRADIENTS, INFERENCE, INFERENCE_GRADIENTS)
#: Derivatives asked for in other ways, each of which is a step.
DERIVATIVES = (
    TRAINING_SECOND_ORDER,
    TRAINING_THIRD_ORDER,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_STATE_GRADIENTS,
    TRAINING_LATE_GRADIENTS,
)
Condition = Callable[[np.ndarray, Case], bool]


def lanes(x: np.ndarray, case: Case) -> np.ndarray:
    """Each channel's values as a row."""
    return np.moveaxis(x, case.config.channel_axis, 0).reshape(case.config.channels, -1).astype(np.float64)


def positions(x: np.ndarray, case: Case) -> int:
    """Of a plane; 1 at rank 2."""
    return math.prod(x.shape[a] for a in case.config.reduce_axes[1:])


def count(x: np.ndarray, case: Case) -> int:
    """Values per channel."""
    return x.size // case.config.channels


def unaligned(array: np.ndarray) -> bool:
    """Whether the array is packed and begins in other memory, at no multiple of 16 bytes."""
    whole = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    start, begins = (a.__array_interface__["data"][0] for a in (whole, array))
    return array.flags.c_contiguous and bool((begins - start) % 16)


def of(name: str, says: Callable[[np.ndarray], bool]) -> Condition:
    """A condition on a parameter or statistic, in double precision."""
    return lambda x, case: name in case.arrays and says(case.arrays[name].astype(np.float64))


def last(x: np.ndarray, case: Case) -> bool:
    """Whether channels are last, behind positions."""
    return x.ndim > 2 and case.config.channel_axis == x.ndim - 1


def images(x: np.ndarray, case: Case) -> bool:
    """Whether there are positions, with channels second."""
    return x.ndim > 2 and case.config.channel_axis == 1


#: Met by every call at every effort.
CONTENTS: dict[str, Condition] = {
    "x below 0": lambda x, case: x.size > 0 and bool((x < 0).all()),
    "x of zeros": lambda x, case: x.size > 0 and bool((x == 0).all()),
    "a channel of zeros beside others": lambda x, case: 0 < int((lanes(x, case) == 0).all(1).sum()) < case.config.channels,
    "an infinity below 0": lambda x, case: bool(np.isneginf(x.astype(np.float64)).any()),
    "an infinity and NaN in one channel": lambda x, case: bool((np.isinf(lanes(x, case)).any(1) & np.isnan(lanes(x, case)).any(1)).any()),
    "gamma below 0": of("gamma", lambda a: bool((a < 0).all())),
    "gamma of 0": of("gamma", lambda a: bool((a == 0).all())),
    "gamma of 1": of("gamma", lambda a: bool((a == 1).all())),
    "one gamma, not 1": of("gamma", lambda a: len(a) > 1 and bool((a == a[0]).all()) and a[0] != 1),
    "gamma with an infinity": of("gamma", lambda a: bool(np.isinf(a).any())),
    "gamma with NaN": of("gamma", lambda a: bool(np.isnan(a).any())),
    "gamma above 0": of("gamma", lambda a: bool((a > 0).all())),
    "beta below 0": of("beta", lambda a: bool((a < 0).all())),
    "beta above 0": of("beta", lambda a: bool((a > 0).all())),
    "beta of 0": of("beta", lambda a: bool((a == 0).all())),
    "beta with an infinity": of("beta", lambda a: bool(np.isinf(a).any())),
    "beta with NaN": of("beta", lambda a: bool(np.isnan(a).any())),
    "running means below 0": of("running_mean", lambda a: bool((a < 0).all())),
    "one running variance, not 1": of("running_var", lambda a: len(a) > 1 and bool((a == a[0]).all()) and a[0] not in (0, 1)),
    "running means of 0": of("running_mean", lambda a: bool((a == 0).all())),
    "a running mean that is infinite": of("running_mean", lambda a: bool(np.isinf(a).any())),
    "a running mean of NaN": of("running_mean", lambda a: bool(np.isnan(a).any())),
    "running variances of 1": of("running_var", lambda a: bool((a == 1).all())),
    "a running variance of 0": of("running_var", lambda a: bool((a == 0).any())),
    "a running variance that is infinite": of("running_var", lambda a: bool(np.isinf(a).any())),
    "a running variance of NaN": of("running_var", lambda a: bool(np.isnan(a).any())),
    "gamma near 0": of("gamma", lambda a: bool(((a != 0) & (np.abs(a) < 1e-6)).any())),
    "epsilon above 1": lambda x, case: case.config.epsilon > 1,
    "epsilon above 100": lambda x, case: case.config.epsilon > 100,
    "a constant channel without gamma and beta": lambda x, case: not case.config.affine and count(x, case) > 1 and bool((np.ptp(lanes(x, case), axis=1) == 0).any()),
    "half precision, channels last in memory": lambda x, case: x.dtype.name in HALVES and x.ndim == 4 and not x.flags.c_contiguous and x.transpose(0, 2, 3, 1).flags.c_contiguous,
    "doubles, channels last in memory": lambda x, case: x.dtype == np.float64 and x.ndim == 4 and not x.flags.c_contiguous and x.transpose(0, 2, 3, 1).flags.c_contiguous,
    "half precision, channels on the last axis": lambda x, case: x.dtype.name in HALVES and last(x, case),
    **{f"a batch of one, rank {r}": lambda x, case, r=r: x.ndim == r and x.shape[0] == 1 for r in (2, 3, 4, 5)},  # type: ignore[misc]
    "half precision, sequences": lambda x, case: x.dtype.name in HALVES and x.ndim == 3 and images(x, case),
    "half precision, volumes": lambda x, case: x.dtype.name in HALVES and x.ndim == 5,
    "half precision, odd rows": lambda x, case: x.dtype.name in HALVES and x.ndim > 2 and x.shape[-1] % 2 == 1 < x.shape[-1],
    "doubles, channels on the last axis": lambda x, case: x.dtype == np.float64 and last(x, case),
    "sequences whose extents coincide, channels last": lambda x, case: x.ndim == 3 and last(x, case) and len(set(x.shape)) == 1 < x.shape[0],
    "a decay of four digits": lambda x, case: round(case.config.decay, 3) != case.config.decay and 0.01 < case.config.decay < 0.9999,
    "half precision, NaN in one channel": lambda x, case: x.dtype.name in HALVES and 0 < int(np.isnan(lanes(x, case)).any(1).sum()) < case.config.channels,
    "float16, squares beyond 65,504": lambda x, case: x.dtype == np.float16 and x.size > 0 and bool((np.abs(lanes(x, case)) > 512).any()),
    "vanishing running variances, no epsilon": lambda x, case: case.config.epsilon == 0 and 0 < case.arrays["running_var"].astype(np.float64).max() < 1e-20,
    "a decay of 1 without gamma and beta": lambda x, case: case.config.decay == 1 and not case.config.affine,
    "most of a channel 0": lambda x, case: x.size > 0 and bool((((lanes(x, case) != 0).sum(1) > 0) & (2 * (lanes(x, case) != 0).sum(1) < count(x, case))).any()),
    "bfloat16 beyond float16's range": lambda x, case: x.dtype.name == "bfloat16" and x.size > 0 and 65504 < np.abs(lanes(x, case)).max() < np.inf,
    "bfloat16 below float16's range": lambda x, case: x.dtype.name == "bfloat16" and x.size > 0 and 0 < np.abs(lanes(x, case)).max() < 2.0**-25,
    "a tiny variance of doubles, no epsilon": lambda x, case: x.dtype == np.float64 and case.config.epsilon == 0 and 0 < lanes(x, case).var(1).max(initial=0) < 1e-20,
    "gamma and beta are one array": lambda x, case: case.config.affine and case.arrays["gamma"] is case.arrays["beta"],
    "a gamma that no vector is aligned with": lambda x, case: case.config.affine and unaligned(case.arrays["gamma"]),
    "epsilon 1e-5 and decay 0.9": lambda x, case: (case.config.epsilon, case.config.decay) == (1e-5, 0.9),
    "epsilon 1e-3 and decay 0.99": lambda x, case: (case.config.epsilon, case.config.decay) == (1e-3, 0.99),
}  # fmt: skip
#: Met by every call at effort standard and beyond, in some dtype.
EXTENTS: dict[str, Condition] = {
    **{f"{n} channels of images": lambda x, case, n=n: images(x, case) and case.config.channels == n for n in (8, 16, 32, 64, 128, 256, 512, 1024)},  # type: ignore[misc]
    **{f"{n} channels, last": lambda x, case, n=n: last(x, case) and case.config.channels == n for n in (8, 16, 32, 64, 128, 256, 512, 1024)},  # type: ignore[misc]
    **{f"{n} channels": lambda x, case, n=n: case.config.channels == n for n in (8, 16, 32, 64, 128, 256, 512, 1024)},  # type: ignore[misc]
    **{f"{n} channels or more, of images": lambda x, case, n=n: images(x, case) and case.config.channels >= n for n in (64, 256, 1024)},  # type: ignore[misc]
    **{f"{n} channels or more, last": lambda x, case, n=n: last(x, case) and case.config.channels >= n for n in (64, 256, 1024)},  # type: ignore[misc]
    **{f"channels last, a multiple of {n}": lambda x, case, n=n: last(x, case) and case.config.channels % n == 0 for n in (4, 8, 16, 32)},  # type: ignore[misc]
    **{f"planes, a multiple of {n}": lambda x, case, n=n: x.ndim > 2 and positions(x, case) % n == 0 < x.size for n in (4, 16, 64, 256, 1024)},  # type: ignore[misc]
    **{f"planes beyond {n}": lambda x, case, n=n: x.ndim > 2 and positions(x, case) > n for n in (256, 1024, 4096, 65535)},  # type: ignore[misc]
    **{f"odd planes beyond {n}": lambda x, case, n=n: x.ndim > 2 and positions(x, case) > n and x.size % 2 == 1 for n in (256, 1024)},  # type: ignore[misc]
    **{f"rank {r}, beyond 1,024 positions": lambda x, case, r=r: x.ndim == r and positions(x, case) > 1024 for r in (3, 4, 5)},  # type: ignore[misc]
    **{f"rank {r}, more than 64 channels": lambda x, case, r=r: x.ndim == r and case.config.channels > 64 for r in (2, 3, 4, 5)},  # type: ignore[misc]
    **{f"a batch beyond {n}, of images": lambda x, case, n=n: x.ndim > 2 and x.shape[0] > n for n in (32, 256, 1024)},  # type: ignore[misc]
    **{f"a batch beyond {n}, of rows": lambda x, case, n=n: x.ndim == 2 and x.shape[0] > n for n in (256, 1024, 4096, 65535)},  # type: ignore[misc]
    "a row of an image beyond 256": lambda x, case: images(x, case) and x.ndim > 3 and x.shape[-1] > 256,
    "a column of an image beyond 256": lambda x, case: images(x, case) and x.ndim > 3 and x.shape[-2] > 256,
    "square planes beyond 4 by 4": lambda x, case: images(x, case) and x.ndim == 4 and x.shape[2] == x.shape[3] > 4,
    "a volume with an extent of 1": lambda x, case: x.ndim == 5 and images(x, case) and 1 in x.shape[2:] and x.shape[0] > 1,
    "half precision, channels last": lambda x, case: x.dtype.name in HALVES and last(x, case),
    "a batch of one image": lambda x, case: x.ndim > 3 and x.shape[0] == 1 < positions(x, case),
    "a million elements": lambda x, case: x.size >= 2**20,
    "a hundred thousand values per channel": lambda x, case: count(x, case) > 100_000,
}  # fmt: skip


@np.errstate(invalid="ignore")  # bfloat16 compares NaN with a warning
def met(cases: Iterable[Case], conditions: dict[str, Condition]) -> set[tuple[str, str]]:
    """(condition, call): which are met by well-formed calls."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    for case in cases:
        if case.subject != "batch_norm":
            continue
        for step in case.steps:
            if step.refused or step.call not in CALLS:
                continue
            x = case.arrays[step.inputs[0]]
            for name, holds in conditions.items():
                if step.call.name not in found[name] and holds(x, case):
                    found[name].add(step.call.name)
    return {(name, call) for name, calls in found.items() for call in calls}


@functools.cache
def contents() -> set[tuple[str, str]]:
    """Met by the cases of every effort."""
    return met(fixed_cases(), CONTENTS)


@functools.cache
def extents() -> set[tuple[str, str]]:
    """Met by the cases of effort standard."""
    return met((*fixed_cases(), *large_cases()), EXTENTS)


@pytest.mark.parametrize("condition", CONTENTS)
def test_every_call_meets_the_contents(condition: str) -> None:
    """Training and inference, with and without gradients, at every effort."""
    assert {c.name for c in CALLS} == {call for name, call in contents() if name == condition}


@pytest.mark.parametrize("condition", EXTENTS)
def test_every_call_meets_the_extents(condition: str) -> None:
    """The same, at effort standard."""
    assert {c.name for c in CALLS} == {call for name, call in extents() if name == condition}


def coincident(cases: Iterable[Case]) -> set[tuple[int, int, int]]:
    """(rank, channel axis, another axis): whose extents coincide in a call with gradients in both modes."""
    found: dict[tuple[int, int, int], set[str]] = collections.defaultdict(set)
    for case in cases:
        channels, axis = case.config.channels, case.config.channel_axis
        for step in case.steps:
            if (
                case.subject != "batch_norm"
                or channels == 1
                or step.call not in (TRAINING_GRADIENTS, INFERENCE_GRADIENTS)
            ):
                continue
            for other, extent in enumerate(case.arrays[step.inputs[0]].shape):
                if other != axis and extent == channels:
                    found[case.config.rank, axis, other].add(step.call.name)
    return {axes for axes, calls in found.items() if len(calls) == 2}


def test_the_extent_of_every_axis_coincides_with_that_of_the_channels() -> None:
    """An axis that is found by its extent is another one: at every rank, with the channels second and last."""
    axes = {
        (rank, axis, other) for rank in (2, 3, 4, 5) for axis in (1, rank - 1) for other in range(rank) if other != axis
    }
    axes |= {(4, 2, 0), (4, 2, 3)}  # and between other axes
    assert axes - coincident(fixed_cases()) == {(5, 1, 3), (5, 4, 2)}  # the single position


#: Met by a fit, or by what follows it, at every effort.
OF_SCALERS: dict[str, Callable[[Case], bool]] = {
    "a training set of one row": lambda case: any(sum(map(len, c)) == 1 for c in chunks(case)),
    "a value beyond six standard deviations": lambda case: any(len(c) == 1 and far_out(c[0], case, 6.0) for c in chunks(case)),
    "chunks in columns": lambda case: any(a.shape[0] > 1 < a.shape[1] and a.flags.f_contiguous for c in chunks(case) for a in c),
    "integers to transform": lambda case: any(s.call == TRANSFORM and case.arrays[s.inputs[0]].dtype.kind in "iu" for s in case.steps),
    "a first chunk without rows": lambda case: any(len(c) > 1 and not c[0].size for c in chunks(case)),
    "a last chunk without rows": lambda case: any(len(c) > 1 and not c[-1].size for c in chunks(case)),
    "two equal chunks": lambda case: any(len(c) > 1 and len(c[0]) == len(c[1]) > 1 for c in chunks(case)),
    "chunks whose counts have a product beyond 16 bits": lambda case: any(len(c) > 1 and len(c[0]) * len(c[1]) > 65535 for c in chunks(case)),
    "more than 32 features": lambda case: case.config.channels > 32,
    "a mean of 0 and a variance of 1": lambda case: any(not np.concatenate(c).astype(np.float64).mean(0).any() and bool((np.concatenate(c).astype(np.float64).var(0) == 1).all()) for c in chunks(case) if sum(map(len, c))),
    "an inverse beyond eight standard deviations": lambda case: any(s.call == INVERSE and bool((np.abs(case.arrays[s.inputs[0]].astype(np.float64)) > 8).any()) for s in case.steps),
    "integers whose sum takes more than 15 bits": lambda case: any(a.dtype.kind in "iu" and a.sum(dtype=np.int64) > 3 * 2**15 for c in chunks(case) for a in c),
    "more than twelve chunks": lambda case: any(len(c) > 12 for c in chunks(case)),
    "one chunk twice in turn": lambda case: any(len(c) > 2 and np.array_equal(c[0], c[1]) and len(c[0]) > 1 for c in chunks(case)),
    "a feature that is constant in its first chunk": lambda case: any(len(c) > 1 and len(c[0]) > 1 and bool(((c[0] == c[0][0]).all(0) & (c[-1] != c[0][0]).any(0)).any()) for c in chunks(case)),
    "a constant feature below 0": lambda case: any(bool(((a == a[:1]).all(0) & (a < 0).all(0)).any()) for c in chunks(case) for a in c if len(a) > 1),
    "doubles of tiny spread": lambda case: any(a.dtype == np.float64 and 0 < a.std() < 1e-10 for c in chunks(case) for a in c if len(a) > 1),
    "integers beyond 16 bits to transform": lambda case: any(s.call == TRANSFORM and case.arrays[s.inputs[0]].dtype.kind in "iu" and case.arrays[s.inputs[0]].max() > 65535 for s in case.steps),
    "an inverse after a second fit": lambda case: any(case.steps[k].call == INVERSE and sum(s.call == FIT for s in since_built(case, k)) > 1 for k in range(len(case.steps))),
    "one array twice": lambda case: any(len(set(s.inputs)) < len(s.inputs) for s in case.steps if s.call == FIT),
    "a chunk more than eight times as long as those before": lambda case: any(0 < 8 * len(one) < len(two) for c in chunks(case) for one, two in itertools.pairwise(c)),
    "twelve transforms": lambda case: sum(s.call == TRANSFORM and not s.refused for s in case.steps) > 11,
    "images of as many features as columns, last": lambda case: case.config.rank == 4 and any(a.shape[2] == case.config.channels for c in chunks(case) for a in c),
    "sequences": lambda case: case.config.rank == 3,
    "images": lambda case: case.config.rank == 4,
    "one row of later data": lambda case: any(s.call == TRANSFORM and len(case.arrays[s.inputs[0]]) == 1 for s in case.steps),
    "one row of later images": lambda case: case.config.rank == 4 and OF_SCALERS["one row of later data"](case),
}  # fmt: skip


def since_built(case: Case, k: int) -> tuple[Step, ...]:
    """The steps on the layer of step k, up to it."""
    return case.steps[case.built_at(k) : k]


def far_out(x: np.ndarray, case: Case, times: float) -> bool:
    """Whether a value lies so many of its channel's standard deviations from the mean."""
    rows = lanes(x, case)
    if not rows.size:
        return False
    with np.errstate(all="ignore"):
        return bool((np.abs(rows - rows.mean(1, keepdims=True)) > times * rows.std(1, keepdims=True)).any())


@pytest.mark.parametrize("setting", ["epsilon", "decay"])
def test_a_step_meets_tiny_variances_that_count(setting: str) -> None:
    """What is taken for 0 shows beside no epsilon, in y, and without a decay beside a variance of 0, in the running variance."""
    steps = [
        (c, s) for c in fixed_cases() if c.subject == "batch_norm" for s in c.steps if s.call == TRAINING_GRADIENTS
    ]
    alone = [(c, s) for c, s in steps if getattr(c.config, setting) == 0 and c.config.dtype == "float32"]
    if setting == "decay":
        alone = [(c, s) for c, s in alone if not c.arrays["running_var"].any()]
    assert any(0 < lanes(c.arrays[s.inputs[0]], c).var(1).max(initial=0.0) < 2.0**-64 for c, s in alone)


def test_a_step_meets_values_far_outside() -> None:
    """What is clipped there is seen in no other way."""
    steps = [
        (c, s) for c in fixed_cases() if c.subject == "batch_norm" for s in c.steps if s.call == TRAINING_GRADIENTS
    ]
    assert any(far_out(case.arrays[s.inputs[0]], case, 16.0) for case, s in steps)


def chunks(case: Case) -> list[list[np.ndarray]]:
    """What the fits of a case take."""
    return [[case.arrays[n] for n in s.inputs] for s in case.steps if s.call == FIT]


@pytest.mark.parametrize("condition", OF_SCALERS)
def test_scalers_meet_their_conditions(condition: str) -> None:
    """At every effort."""
    assert any(case.subject == "input_norm" and OF_SCALERS[condition](case) for case in fixed_cases())


def in_turn(case: Case) -> set[tuple[str, int | str]]:
    """(call, rank) and (call, dtype): which calls follow themselves on one layer, on other values of the same shape."""
    found: set[tuple[str, int | str]] = set()
    for one, two in itertools.pairwise(case.steps):
        a, b = (case.arrays.get(s.inputs[0]) if s.inputs else None for s in (one, two))
        same_layer = one.call == two.call and not two.fresh and not (one.refused or two.refused)
        if same_layer and a is not None and b is not None and a.shape == b.shape and not np.array_equal(a, b):
            found |= {(one.call.name, case.config.rank), (one.call.name, case.config.dtype)}
    return found


def test_each_call_follows_itself_on_other_values_of_one_shape() -> None:
    """What is kept by the shape, and results that share their memory, are seen in no other way."""
    found = set().union(*(in_turn(case) for case in fixed_cases() if case.subject == "batch_norm"))
    assert {(call.name, rank) for call in CALLS for rank in (2, 3, 4, 5)} <= found
    assert {(call.name, dtype) for call in CALLS for dtype in ("float32", "float64", *HALVES)} <= found


def test_frozen_layers_are_asked_for_every_derivative() -> None:
    """A frozen layer has the derivatives of inference, whichever is asked."""
    asked = {
        case.steps[i].call.kind for case in fixed_cases() for i in range(len(case.steps)) if case.settings_at(i)[1]
    }
    assert {"forward", "gradients", "some_gradients", "second_order", "tangent", "state_gradients"} <= asked
    assert {"third_order", "tangent_gradient", "late_gradients"} <= asked
    assert {"clone", "save_restore"} <= asked


def test_a_frozen_layer_without_a_decay_is_asked_for_gradients() -> None:
    """What it would be replaced by then shows."""
    assert any(
        case.steps[i].call == TRAINING_GRADIENTS and case.settings_at(i) == (0.0, True)
        for case in fixed_cases()
        for i in range(len(case.steps))
    )


OPERATIONS = (SET_DECAY, FREEZE, UNFREEZE, SAVE_RESTORE, CLONE, SWAP, RESET)


def test_every_operation_is_followed_by_every_other_and_by_a_step() -> None:
    """What one sets, another may lose or bring back."""
    found: set[tuple[str, str]] = set()
    for case in fixed_cases():
        calls = [s.call for s in case.steps]
        for (_, one), (j, two) in itertools.combinations(enumerate(calls), 2):
            if one in OPERATIONS and two in OPERATIONS and any(c.mode == "training" for c in calls[j + 1 :]):
                found.add((one.name, two.name))
    assert {(one.name, two.name) for one in OPERATIONS for two in OPERATIONS} <= found


def test_doubles_halves_and_many_channels_are_saved_copied_and_reset() -> None:
    """A checkpoint in single precision loses digits of doubles, one in float16 the range of bfloat16, and names are sorted as words."""

    def met(holds: Callable[[Case], bool]) -> set[Call]:
        return {s.call for case in fixed_cases() if case.subject == "batch_norm" and holds(case) for s in case.steps}

    assert {SAVE_RESTORE, CLONE, SWAP, RESET, SET_DECAY} <= met(lambda case: case.config.dtype == "float64")
    assert {SAVE_RESTORE, CLONE} <= met(lambda case: case.config.channels > 10)
    for dtype in HALVES:
        assert {SAVE_RESTORE, CLONE, RESET} <= met(lambda case, dtype=dtype: case.config.parameter_dtype == dtype)  # type: ignore[misc]


#: Of gamma and beta, and of the running statistics: what a checkpoint may hold as something else.
KEPT: dict[str, Condition] = {
    **{name: CONTENTS[name] for name in ("gamma with an infinity", "beta with NaN", "a running mean of NaN", "a running variance that is infinite")},
    **{name: CONTENTS[name] for name in ("gamma below 0", "gamma above 0", "gamma of 0", "gamma of 1", "one gamma, not 1")},
    **{name: CONTENTS[name] for name in ("beta below 0", "beta above 0", "beta of 0", "running means below 0", "running means of 0")},
    **{name: CONTENTS[name] for name in ("running variances of 1", "a running variance of 0", "one running variance, not 1")},
}  # fmt: skip


@pytest.mark.parametrize("operation", [SAVE_RESTORE, CLONE], ids=lambda call: call.name)
@pytest.mark.parametrize("condition", KEPT)
def test_what_is_saved_and_copied_meets_the_contents(condition: str, operation: Call) -> None:
    """What is at hand afterwards is what was there, and a call shows it."""
    assert any(
        s.call == operation and KEPT[condition](case.arrays["x"], case)
        for case in fixed_cases()
        if case.subject == "batch_norm"
        for s in case.steps
    )


def test_inference_before_a_reset_is_followed_by_inference() -> None:
    """Statistics that are folded for inference are folded again."""
    words = [" ".join(s.call.name for s in case.steps) for case in fixed_cases()]
    assert any("inference reset inference" in w for w in words)


#: Of a direction v in x: (v, case, step).
DIRECTIONS: dict[str, Callable[[np.ndarray, Case, Step], bool]] = {
    "constant": lambda v, case, step: v.size > 1 and bool((v == v.reshape(-1)[0]).all()),
    "with the bits of x": lambda v, case, step: np.array_equal(v, case.arrays["x"]),
    "the cotangent itself": lambda v, case, step: "dy" in step.inputs and step.inputs[-1] == "dy",
    "a view": lambda v, case, step: not v.flags.c_contiguous,
    "with an epsilon above 1": lambda v, case, step: case.config.epsilon > 1,
    "without epsilon": lambda v, case, step: case.config.epsilon == 0,
    "beside a gamma of 0": lambda v, case, step: case.config.affine and bool((case.arrays["gamma"] == 0).any()),
    "beside NaN in x": lambda v, case, step: bool(np.isnan(case.arrays["x"].astype(np.float64)).any()),
    "in half precision": lambda v, case, step: v.dtype.name in HALVES,
    "of more than four channels": lambda v, case, step: case.config.channels > 4,
    **{f"of rank {r}": lambda v, case, step, r=r: v.ndim == r for r in (2, 3, 4, 5)},  # type: ignore[misc]
}  # fmt: skip


@pytest.mark.parametrize("condition", DIRECTIONS)
def test_derivatives_along_every_kind_of_direction_are_asked(condition: str) -> None:
    """Second order, and forward mode where it takes one of the kind."""
    holds = DIRECTIONS[condition]
    steps = [(c, s) for c in fixed_cases() for s in c.steps if s.call in (TRAINING_TANGENT, TRAINING_SECOND_ORDER)]
    met = {s.call for c, s in steps if holds(c.arrays[s.inputs[-1]], c, s)}
    assert TRAINING_SECOND_ORDER in met
    assert TRAINING_TANGENT in met


@pytest.mark.parametrize(
    "call", [TRAINING_MASKED, TRAINING_MASKED_GRADIENTS, TRAINING_TANGENT, *DERIVATIVES], ids=lambda call: call.name
)
def test_steps_of_every_kind_lie_between_inferences(call: Call) -> None:
    """What inference keeps, each of them makes stale."""
    same = {INFERENCE_GRADIENTS: INFERENCE}
    calls = [[(same.get(s.call, s.call), s.fresh) for s in case.steps] for case in fixed_cases()]
    assert any(
        one == three == INFERENCE and two == call and not (b or c)
        for steps in calls
        for (one, _), (two, b), (three, c) in zip(steps, steps[1:], steps[2:], strict=False)
    ) or any(
        one == four == INFERENCE and two == three == call and not (b or c or d)
        for steps in calls
        for (one, _), (two, b), (three, c), (four, d) in zip(steps, steps[1:], steps[2:], steps[3:], strict=False)
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda call: call.name)
def test_each_operation_follows_itself_at_once(operation: Call) -> None:
    """A switch is back where it was."""
    pairs = {(one.call, two.call) for case in fixed_cases() for one, two in itertools.pairwise(case.steps)}
    assert (operation, operation) in pairs


def test_a_layer_infers_twelve_times_and_takes_sixteen_steps_and_then_both() -> None:
    """Buffers that are used in turn come round, counters overflow, and what was read often is compiled anew."""
    long = [[s.call for s in case.steps] for case in fixed_cases() if sum(s.fresh for s in case.steps) == 1]
    assert any(
        calls.count(INFERENCE) > 12
        and sum(call in (TRAINING, TRAINING_GRADIENTS) for call in calls) > 16
        and calls[-2:] == [TRAINING, INFERENCE]
        for calls in long
    )


def test_a_scaler_is_fitted_on_nothing_after_a_fit() -> None:
    """What was fitted is not kept."""
    steps = [(c, one, two) for c in fixed_cases() for one, two in itertools.pairwise(c.steps) if two.call == FIT]
    assert any(
        one.call == FIT and not two.fresh and not any(c.arrays[n].size for n in two.inputs) for c, one, two in steps
    )
