"""Cases whose sums are long, beside values that are far from zero: float32 sums of one value after the other lose every digit there.

x and dy are uniform draws that the case records, so that a script can draw them again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bnspec.conformance.cases.building import SHORT_PROGRAM, Form, Plan, parameters
from bnspec.conformance.cases.layouts import lay_out
from bnspec.contract import LayerConfig
from bnspec.model.buffers import dtype_of
from bnspec.model.case import Case
from bnspec.model.draws import Uniform, product


def large_counts() -> Iterator[Case]:
    """Counts and means at which sums that grow slowly keep digits.

    The seeds are those of 40 at which float32 sums of one value after the other lose the most in the channel where they lose least.
    """
    image, image_last = Form((8, 2, 31, 33), 1), Form((8, 31, 33, 2), 3)
    yield large_count(Form((20011, 2), 1), 1e4, 169, "digits of sums over many rows")
    purpose = "digits of sums over many pixels, in memory with the channels last"
    yield large_count(image, 1e6, 160, purpose, "channels_last")
    yield large_count(image_last, 1e6, 160, "digits of sums over many pixels, channels last")
    yield large_count(Form((5003, 2), 1), 1e6, 157, "digits of sums, a mean of a million")


def large_count(form: Form, quotient: float, seed: int, purpose: str, layout: str = "packed") -> Case:
    """Inference and training, with gradients, on channels of standard deviations from 1/4 to 1, whose means are ``quotient`` of them."""
    plan = Plan(form, decay=0.0, seed=seed)
    channels, axis = form.shape[form.channel_axis], form.channel_axis
    config = LayerConfig(
        len(form.shape), axis, channels, plan.epsilon, plan.decay, form.dtype, form.parameter_dtype, form.affine
    )
    own = tuple(channels if a == axis else 1 for a in range(len(form.shape)))[axis:]
    width = round(math.sqrt(3.0) / quotient, 9)
    draws = {
        "x": [Uniform(seed, 1.0 - width, 1.0 + width, form.shape), Uniform(seed + 1, quotient / 4.0, quotient, own)],
        "dy": [Uniform(seed + 2, -1.0, 1.0, form.shape)],
    }
    arrays = parameters(plan, config, np.random.RandomState(seed))
    for name, factors in draws.items():
        arrays[name] = lay_out(product(factors).astype(dtype_of(form.dtype)), layout, axis)
    return Case("batch_norm", config, arrays, SHORT_PROGRAM, {"draws": draws, "purpose": purpose})
