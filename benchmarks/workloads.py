"""What is timed: shapes that people meet, in the three passes of the layer, and the case of each.

A profile is a list of workloads. Every case has data with a mean and a spread of its own per channel, and parameters
and statistics that are not the defaults: no zeros, ones or subnormal numbers that a kernel could be quick with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bnspec.buffers import dtype_of
from bnspec.case import Case, Step
from bnspec.contract import LayerConfig
from bnspec.errors import UsageError
from bnspec.profiles import HALVES

#: The calls that are timed, with what they take: forward in training, forward and backward in training, inference.
PASSES: Mapping[str, tuple[str, ...]] = {
    "training": ("x",),
    "training_gradients": ("x", "dy"),
    "inference": ("x",),
}
#: Both are exact in float32, so that every framework receives the same numbers.
EPSILON, DECAY = 2.0**-10, 0.75


@dataclasses.dataclass(frozen=True)
class Workload:
    """One thing to time.

    Attributes:
        name: of the shape, for people.
        shape, channel_axis, dtype: of x; parameters have the same dtype, float32 where x is of half precision.
        pass_name: one of ``PASSES``.
    """

    name: str
    shape: tuple[int, ...]
    channel_axis: int
    dtype: str
    pass_name: str

    @property
    def id(self) -> str:
        """The workload as a word, e.g. ``training-4096x64-axis1-float32``."""
        return f"{self.pass_name}-{'x'.join(map(str, self.shape))}-axis{self.channel_axis}-{self.dtype}"

    @property
    def channels(self) -> int:
        """Extent of the channel axis."""
        return self.shape[self.channel_axis]

    def case(self, seed: int = 0) -> Case:
        """The case: one call on seeded data; the same seed gives the same case, bit for bit."""
        parameter_dtype = "float32" if self.dtype in HALVES else self.dtype
        rank, channels = len(self.shape), self.channels
        config = LayerConfig(rank, self.channel_axis, channels, EPSILON, DECAY, self.dtype, parameter_dtype)
        rng = np.random.RandomState(seed % 2**32)  # its stream is the same on every NumPy
        arrays = _parameters(config)
        spread = (0.5 + rng.uniform(size=channels)).reshape(config.channel_shape)
        centre = (3.0 * rng.standard_normal(channels)).reshape(config.channel_shape)
        values = {"x": centre + spread * rng.standard_normal(self.shape), "dy": 0.25 + rng.standard_normal(self.shape)}
        names = PASSES[self.pass_name]
        arrays.update({name: values[name].astype(dtype_of(self.dtype)) for name in names})
        origin = {"workload": dataclasses.asdict(self), "seed": seed}
        return Case("batch_norm", config, arrays, (Step(self.pass_name, names, fresh=True),), origin)


def _parameters(config: LayerConfig) -> dict[str, np.ndarray]:
    """gamma (some negative), beta, and the statistics of data like x."""
    c = np.arange(config.channels)
    values = {
        "gamma": np.where(c % 3 == 1, -1.0, 1.0) * (0.5 + 0.375 * ((c * 5) % 11)),
        "beta": 0.25 + 0.5 * ((c * 7) % 13) - 2.0,
        "running_mean": np.where(c % 2, -0.75, 0.75) * (1.0 + (c * 3) % 8),
        "running_var": 0.5 + 0.25 * ((c * 5) % 9),
    }
    return {name: value.astype(dtype_of(config.parameter_dtype)) for name, value in values.items()}


def _of(name: str, shape: tuple[int, ...], channel_axis: int, dtype: str = "float32") -> tuple[Workload, ...]:
    return tuple(Workload(name, shape, channel_axis, dtype, p) for p in PASSES)


#: A few seconds a backend: a long table of features, and an image stage with the channels first and last.
QUICK = (
    *_of("tall and skinny", (4096, 64), 1),
    *_of("image, channels first", (16, 64, 28, 28), 1),
    *_of("image, channels last", (16, 28, 28, 64), 3),
)
#: Those, and: a fully connected layer, stages of ResNet-50 at batch 32, one call so short that it shows the overhead,
#: double precision, half precision.
STANDARD = (
    *QUICK,
    *_of("one small call", (32, 16), 1),
    *_of("fully connected", (256, 2048), 1),
    *_of("ResNet-50, first stage", (32, 64, 56, 56), 1),
    *_of("ResNet-50, last stage", (32, 512, 7, 7), 1),
    *_of("double precision", (16, 64, 28, 28), 1, "float64"),
    *_of("half precision", (16, 64, 28, 28), 1, "bfloat16"),
)
PROFILES: Mapping[str, tuple[Workload, ...]] = {"quick": QUICK, "standard": STANDARD}


def workloads(profile: str, passes: Sequence[str] = ()) -> tuple[Workload, ...]:
    """The workloads of a profile, of these passes only (all, when none is named).

    Raises UsageError: there is no such pass or profile.
    """
    for wrong in [p for p in passes if p not in PASSES]:
        raise UsageError(f"no pass is called {wrong!r}.", f"known are {', '.join(PASSES)}.", "name one of them.")
    if profile not in PROFILES:
        raise UsageError(f"no profile is called {profile!r}.", f"known are {', '.join(PROFILES)}.", "name one of them.")
    return tuple(w for w in PROFILES[profile] if not passes or w.pass_name in passes)
