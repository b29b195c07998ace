"""The plan of a test vector: purpose, clauses, flags, and the plan of its arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from bnspec.conformance.cases.building import Form, Plan, ScalingPlan, batch_norm_case, input_norm_case
from bnspec.model.call import INFERENCE_GRADIENTS, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step

TRAINING_STEPS = (Step(TRAINING_GRADIENTS, ("x", "dy"), True),)
INFERENCE_STEPS = (Step(INFERENCE_GRADIENTS, ("x", "dy"), True),)
BOTH = (*TRAINING_STEPS, *INFERENCE_STEPS)
TWO_STEPS = (Step(TRAINING_GRADIENTS, ("x", "dy"), True), Step(TRAINING_GRADIENTS, ("x2", "dy2")))

FORMS = {"nc": Form((9, 3), 1), "nchw": Form((4, 3, 5, 2), 1), "nhwc": Form((4, 5, 2, 3), 3)}

FLAGS = {
    "ordinary": "Well-conditioned data; every parameter and statistic distinct, nothing at its default.",
    "large_mean": "The mean is many standard deviations from 0: E[x^2] - E[x]^2 cancels.",
    "epsilon_counts": "epsilon is of the size of the variance or above it: where it is added, and which one, shows.",
    "tiny_epsilon": "epsilon is below 1e-5 and still counts: a hidden minimum shows.",
    "constant_channel": "A channel has variance 0, or a few units in the last place: only epsilon divides.",
    "few_values": "Few values per channel: a variance with divisor m - 1 differs by much from one with m.",
    "decay_limit": "A decay of 0 or 1, where one of the two terms of the moving average vanishes.",
    "second_step": "What a first step leaves behind enters the second.",
    "extreme_state": "Running statistics of extreme or distinctive size.",
    "negative_gamma": "A gamma is negative.",
    "zero_gamma": "A gamma is 0: y is beta exactly, whatever x.",
    "no_affine": "There is no gamma and no beta.",
    "constant_cotangent": "dy is constant per channel: dx is 0 in training, and is not in inference.",
    "one_hot_cotangent": "dy is 1 in one place: every path of the gradient shows alone.",
    "unusual_axis": "The channel axis or the rank is not the common one; extents are pairwise distinct.",
    "block_edges": "Extents just around powers of two, where blocks and vectors end.",
    "half": "x is float16 or bfloat16.",
    "wide_range": "Values near the limits of the dtype's range: squares just fit, or vanish.",
    "subnormal": "Values below the normal range: they may be flushed to zero.",
    "overflow": "An exact result is beyond the dtype's range: an infinity of its sign conforms.",
    "not_finite": "One channel holds a NaN or an infinity; the others must not see it.",
    "one_value": "One value per channel: its variance is 0, and with divisor m - 1 does not exist.",
    "empty": "No value per channel.",
    "order": "An order of the values that is hard on running sums: sorted, alternating, an outlier first.",
    "chunks": "The training set arrives in parts.",
}

ABOUT = {
    "training": "y in training: normalised by the statistics of x itself, whatever the running ones are.",
    "epsilon": "Where epsilon is added, and that it is the one that was given.",
    "affine": "gamma and beta, one of each per channel, or none.",
    "running": "How one training step, and a second, move the running statistics.",
    "inference": "y and the gradients by the running statistics, which stay as they are.",
    "gradient": "dx, dgamma and dbeta in both modes.",
    "layout": "Ranks and channel axes. Memory layout is not in a file: repeat these with views of your own.",
    "extents": "Counts and channel numbers around the sizes of blocks.",
    "dtype": "float16 and bfloat16 data, with float32 parameters and with their own; float64.",
    "degenerate": "One value per channel, and none.",
    "special": "NaN, infinities, overflow and numbers below the normal range.",
    "input": "Input normalization: statistics of a training set that comes in parts, applied to any data.",
}


@dataclasses.dataclass(frozen=True)
class VectorPlan:
    """The plan of one vector, without values.

    Attributes:
        family, name: ``family.name`` is its id.
        purpose: one sentence.
        clauses: the ids of the clauses that it tests.
        flags: of ``FLAGS``.
        plan: the plan from which arrays are drawn.
        steps: the calls; a call that is not fresh continues from the previous call.
        arrays: values, by name, that replace drawn ones.
    """

    family: str
    name: str
    purpose: str
    clauses: tuple[str, ...]
    flags: tuple[str, ...]
    plan: Plan | ScalingPlan
    steps: tuple[Step, ...] = TRAINING_STEPS
    arrays: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)

    @property
    def id(self) -> str:
        """``family.name``."""
        return f"{self.family}.{self.name}"

    def case(self) -> Case:
        """The case, identical on every machine."""
        drawn = batch_norm_case(self.plan) if isinstance(self.plan, Plan) else input_norm_case(self.plan)
        arrays = dict(drawn.arrays)
        for name, values in self.arrays.items():
            arrays[name] = arrays[name].copy()
            arrays[name][...] = values
        return drawn.with_(arrays=arrays, steps=self.steps or drawn.steps, origin={})


def typed(form: Form, dtype: str, parameter_dtype: str = "") -> Form:
    """The form with this dtype of x, and of the parameters unless theirs is given."""
    return dataclasses.replace(form, dtype=dtype, parameter_dtype=parameter_dtype or dtype)
