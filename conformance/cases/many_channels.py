"""Cases of many independent channels: each is a sample of a layer's rounding errors.

Nothing in them is rounded alike in all channels by a correct layer: epsilon and decay are sums of few powers of two, the count is
a power of two, and at 128 the correction 128 / 127 is off by 0.06 u in float32 and by 0.13 u at most elsewhere. No sum cancels:
dy is the square of x, so that sum(dy zhat) is of the size of its terms.
"""

from __future__ import annotations

from collections.abc import Iterator

from bnspec.conformance.cases.building import SHORT_PROGRAM, Form
from bnspec.conformance.cases.forms import in_dtype
from bnspec.model.buffers import dtype_of
from bnspec.model.call import FIT
from bnspec.model.case import Case, Step
from bnspec.model.draws import Uniform, product
from bnspec.model.layer import LayerConfig

#: Values per channel, and channels.
COUNT, CHANNELS = 128, 512
EPSILON, DECAY = 2.0**-10, 0.25
ROWS = Form((COUNT, CHANNELS), 1)
IMAGE, IMAGE_LAST = Form((2, CHANNELS, 8, 8), 1), Form((2, 8, 8, CHANNELS), 3)


def sample_case(form: Form, seed: int, purpose: str) -> Case:
    """Inference and training, with gradients, on channels of scales from 1/4 to 4."""
    channels, axis = form.shape[form.channel_axis], form.channel_axis
    config = LayerConfig(len(form.shape), axis, channels, EPSILON, DECAY, form.dtype, form.parameter_dtype, form.affine)
    one = (channels,)
    own = tuple(channels if a == axis else 1 for a in range(len(form.shape)))[axis:]
    draws = {
        "gamma": [Uniform(seed + 2, -2.0, 2.0, one)],
        "beta": [Uniform(seed + 3, -1.0, 1.0, one)],
        "running_mean": [scale(seed, one), Uniform(seed + 4, 0.75, 1.25, one)],
        "running_var": [scale(seed, one, 2), Uniform(seed + 5, 0.75, 2.5, one)],
        "x": [values(seed, form.shape), scale(seed, own)],
        "dy": [values(seed, form.shape, 2), scale(seed, own, 2)],
    }
    dtypes = {n: form.dtype if n in ("x", "dy") else form.parameter_dtype for n in draws}
    arrays = {n: product(factors).astype(dtype_of(dtypes[n])) for n, factors in draws.items()}
    return Case("batch_norm", config, arrays, SHORT_PROGRAM, {"draws": draws, "purpose": purpose})


def fit_case(seed: int, purpose: str) -> Case:
    """The fit of a scaler with many features."""
    config = LayerConfig(2, 1, CHANNELS, 0.0, 0.0, ROWS.dtype, ROWS.parameter_dtype, False)
    draws = {"chunk0": [values(seed, ROWS.shape), scale(seed, (CHANNELS,))]}
    arrays = {"chunk0": product(draws["chunk0"]).astype(dtype_of(ROWS.dtype))}
    steps = (Step(FIT, ("chunk0",), fresh=True),)
    return Case("input_norm", config, arrays, steps, {"draws": draws, "purpose": purpose})


def values(seed: int, shape: tuple[int, ...], power: int = 1) -> Uniform:
    """What x is made of in every channel: a mean of 1 and a standard deviation of 1.15, before its scale."""
    return Uniform(seed, -1.0, 3.0, shape, power)


def scale(seed: int, shape: tuple[int, ...], power: int = 1) -> Uniform:
    """The scales of the channels."""
    return Uniform(seed + 1, 0.25, 4.0, shape, power)


def samples(seed: int = 1600) -> Iterator[Case]:
    """The samples of every run."""
    yield sample_case(ROWS, seed, "errors of many channels")
    yield sample_case(in_dtype(ROWS, "bfloat16"), seed + 10, "errors of many channels in bfloat16")
    yield sample_case(in_dtype(ROWS, "float16"), seed + 20, "errors of many channels in float16")
    yield fit_case(seed + 30, "errors of many fitted features")


def more_samples(seed: int = 1640) -> Iterator[Case]:
    """Other forms and dtypes, for more than quick effort."""
    yield sample_case(IMAGE, seed, "errors of many channels of images")
    yield sample_case(IMAGE_LAST, seed + 10, "errors of many channels of images, channels last")
    yield sample_case(in_dtype(ROWS, "float64", "float64"), seed + 20, "errors of many channels in float64")
    for k, dtype in enumerate(("bfloat16", "float16"), 3):
        form = in_dtype(ROWS, dtype, dtype)
        yield sample_case(form, seed + 10 * k, f"errors of many channels, all in {dtype}")
