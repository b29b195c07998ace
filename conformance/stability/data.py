"""The data of the sweeps: x of a given kappa or of a given count, as it can be stored in a dtype.

Two kinds, both of whole cases whose statistics are known by construction before they are rounded to the dtype:

    kappa   x = s (kappa + z), z normal, standardised over the channel; s differs between channels and seeds. The count is fixed.
    count   x = s (KAPPA +- 1), both equally often in random order. Two values only, so that the roundings of a running sum
            within a binade are those of two numbers and do not average out: a sum that is formed one by one then drifts
            linearly with the count, where on random data its error would grow like the root of it.

Rounding to the dtype adds noise of ulp^2 / 12 to the variance: from kappa of about 1 / (2 u) on, the data have another kappa
than requested, or none. ``reached`` says so, and such points are left out.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from bnspec.conformance.cases.layouts import lay_out
from bnspec.model.buffers import dtype_of
from bnspec.model.call import INFERENCE_GRADIENTS, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.model.layer import LayerConfig
from bnspec.model.precision import PRECISIONS
from bnspec.oracle.oracle import Oracle

Array = np.ndarray

#: Elements per channel, and channels, of the sweep over kappa.
COUNT, CHANNELS = 512, 3
#: The kappa of the sweep over the count, and its channels: two, so that the memory order of the axes matters.
KAPPA, COUNT_CHANNELS = 4.0, 2
#: Both are exact in every dtype; epsilon is a normal number of each.
EPSILON, DECAY = 2.0**-14, 0.5
#: A kappa counts as reached where the stored data have it within this fraction.
NEAR = 0.1


@dataclasses.dataclass(frozen=True)
class Form:
    """Rank, channel axis (negative from the end) and memory layout of x."""

    name: str
    rank: int
    channel_axis: int
    layout: str = "packed"


FORMS = (
    Form("rank 4, channels first", 4, 1),
    Form("rank 2", 2, 1),
    Form("rank 4, channels last", 4, 3),
    Form("rank 4, channels first, channels-last memory", 4, 1, "channels_last"),
)


@dataclasses.dataclass(frozen=True)
class Spot:
    """One point of a sweep, for any backend.

    Attributes:
        sweep: "kappa" or "count"; asked: the requested kappa or count.
        dtype, parameter_dtype: of x, and of parameters and state.
        seed: of the values.
    """

    sweep: str
    asked: float
    form: Form
    dtype: str
    parameter_dtype: str
    seed: int

    @property
    def count(self) -> int:
        """Elements per channel."""
        return COUNT if self.sweep == "kappa" else int(self.asked)


def shape_of(form: Form, count: int, channels: int) -> tuple[int, ...]:
    """The shape of x; a count that is a power of two is spread over batch, height and width as evenly as it goes."""
    if form.rank == 2:
        return (count, channels)
    power = count.bit_length() - 1
    height, width = 2 ** (power // 3), 2 ** ((power + 1) // 3)
    batch = count // (height * width)
    return (batch, height, width, channels) if form.channel_axis == 3 else (batch, channels, height, width)


def _of_kappa(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> tuple[Array, Array]:
    z = rng.standard_normal((channels, count))
    z = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)
    sign = np.where(np.arange(channels) % 2, -1.0, 1.0)[:, None]
    scale = 2.0 ** rng.uniform(0.0, 1.0, (channels, 1))
    return scale * (sign * kappa + z), rng.standard_normal((channels, count)) + 0.5


def _of_two_values(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> tuple[Array, Array]:
    signs = np.array([rng.permutation(np.arange(count) % 2 * 2.0 - 1.0) for _ in range(channels)])
    scale = 2.0 ** rng.uniform(0.0, 1.0, (channels, 1))
    dy_scale = 2.0 ** rng.uniform(0.0, 1.0, (channels, 1))
    other = rng.choice([-0.5, 0.5], (channels, count))
    return scale * (kappa + signs), dy_scale * (0.5 + signs + other)


def case_of(spot: Spot) -> Case:
    """The training case: one step with gradients from the state (0, 1) of a new layer. The same spot gives the same bits."""
    form, dtype = spot.form, dtype_of(spot.dtype)
    kappa, channels = (spot.asked, CHANNELS) if spot.sweep == "kappa" else (KAPPA, COUNT_CHANNELS)
    rng = np.random.RandomState([spot.seed, round(1000 * np.log2(spot.asked)), spot.sweep == "kappa"])
    draw = _of_kappa if spot.sweep == "kappa" else _of_two_values
    shape = shape_of(form, spot.count, channels)
    config = LayerConfig(
        form.rank, form.channel_axis, channels, EPSILON, DECAY, spot.dtype, spot.parameter_dtype, affine=True
    )
    arrays: dict[str, Array] = {}
    gamma = np.where(rng.uniform(size=channels) < 0.5, -1.0, 1.0) * 2.0 ** rng.uniform(-1.0, 1.0, channels)
    wide = dict(gamma=gamma, beta=0.5 * gamma * rng.uniform(-1.0, 1.0, channels))
    wide.update(running_mean=np.zeros(channels), running_var=np.ones(channels))
    for name, values in wide.items():
        arrays[name] = values.astype(dtype_of(spot.parameter_dtype))
    with np.errstate(over="ignore"):
        for name, values in zip(("x", "dy"), draw(rng, kappa, channels, spot.count), strict=True):
            moved = [n for i, n in enumerate(shape) if i != form.channel_axis]
            placed = np.moveaxis(values.reshape(channels, *moved), 0, form.channel_axis).astype(dtype)
            arrays[name] = lay_out(placed, form.layout, form.channel_axis)
    origin = {"sweep": spot.sweep, "asked": spot.asked, "form": form.name, "seed": spot.seed}
    return Case("batch_norm", config, arrays, (Step(TRAINING_GRADIENTS, ("x", "dy"), fresh=True),), origin)


def inference_case(oracle: Oracle) -> Case:
    """The same x by a state that holds its own mean and variance, rounded to the dtype of the state."""
    case = oracle.case
    batch = oracle.batch("x", case.config.epsilon)
    parameter = dtype_of(case.config.parameter_dtype)
    mean, var = (np.asarray(v).astype(np.float64).reshape(-1).astype(parameter) for v in (batch.mean, batch.var))
    arrays = {**case.arrays, "running_mean": mean, "running_var": var}
    return case.with_(arrays=arrays, steps=(Step(INFERENCE_GRADIENTS, ("x", "dy"), fresh=True),))


def kappa_of(oracle: Oracle) -> Array:
    """kappa of each channel of x as stored, from its exact statistics; infinite where the variance is 0, NaN where x is not finite."""
    batch = oracle.batch("x", oracle.case.config.epsilon)
    with np.errstate(all="ignore"):
        return np.asarray(batch.abs_mean / np.sqrt(batch.var64)).reshape(-1)


def reached(asked: float, kappa: Array, dtype: str) -> Array:
    """Which channels have the kappa that was asked, within ``NEAR``.

    None beyond 1/u: there std is less than the spacing of the numbers around the mean, and a channel that has the kappa owes
    it to a few stray values in a constant.
    """
    with np.errstate(invalid="ignore"):
        near = np.isfinite(kappa) & (np.abs(kappa / asked - 1.0) <= NEAR)
    return np.asarray(near & (asked * PRECISIONS[dtype].unit_roundoff <= 1.0))
