"""One thing to time: a pass, the shape it is given, and the values in it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from bnspec.errors import UsageError
from bnspec.model.call import FIT, INFERENCE, INFERENCE_GRADIENTS, LEARN, TRAINING, TRAINING_GRADIENTS, TRANSFORM, Call
from bnspec.model.case import Case
from bnspec.model.vocabulary import CaseSubject

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Pass:
    """A call of a subject.

    Attributes:
        subject: of the case, see ``bnspec.model.case``.
        call: of its last step, the one that is timed.
        inputs: names of the arrays that the call takes.
        about: the pass in words.
    """

    subject: CaseSubject
    call: Call
    inputs: tuple[str, ...]
    about: str


CHUNKS = ("x0", "x1", "x2", "x3")
#: The passes by the names that a user gives.
PASSES: Mapping[str, Pass] = {
    "training": Pass("batch_norm", TRAINING, ("x",), "forward in training"),
    "training_gradients": Pass("batch_norm", TRAINING_GRADIENTS, ("x", "dy"), "forward and backward in training"),
    "inference": Pass("batch_norm", INFERENCE, ("x",), "forward at test time"),
    "frozen": Pass("batch_norm", INFERENCE_GRADIENTS, ("x", "dy"), "forward and backward, statistics held constant"),
    "fit": Pass("input_norm", FIT, CHUNKS, "input normalization: learn from four chunks"),
    "transform": Pass("input_norm", TRANSFORM, ("x",), "input normalization: apply"),
    "layer_norm": Pass("layer_norm", TRAINING, ("x",), "layer normalization over the last axis, forward"),
    "layer_norm_gradients": Pass("layer_norm", TRAINING_GRADIENTS, ("x", "dy"), "the same, forward and backward"),
    "network_step": Pass("network", LEARN, ("x", "labels"), "one step of gradient descent of a network with the layer"),
    "plain_network_step": Pass("network", LEARN, ("x", "labels"), "the same network without the layer"),
}
#: The values of x: a mean and a spread of its own for each channel; subnormal numbers; one value for each channel; a mean
#: of 1000 standard deviations.
REGIMES = ("ordinary", "subnormal", "constant", "offset")
#: Families for charts: cost against the elements of a channel, the number of channels, the extent of an image.
SCANS = ("count", "channels", "size")


@dataclasses.dataclass(frozen=True)
class Workload:
    """One thing to time.

    Attributes:
        name: of the shape, for people.
        shape: of what is normalised: x, or inside a network the result of its first linear map, (n, C) or (n, h, w, C).
        channel_axis: of ``shape``; for layer normalization the features' axis, the last.
        dtype: of x; parameters have the same dtype, float32 where x is of half precision.
        pass_name: one of ``PASSES``.
        regime: one of ``REGIMES``.
        scans: the families that it is a point of, some of ``SCANS``.
        scaled_from: the shape in the model that this is taken from, where the batch was cut; else empty.
        weight: how many layers of the models that it was taken from it stands for; 0 when from none.
        id: the workload as a word, e.g. ``training-4096x64-axis1-float32``.
        channels, elements: the extent of the channel axis, and elements of ``shape``.
    """

    name: str
    shape: Shape
    channel_axis: int
    dtype: str
    pass_name: str
    regime: str = "ordinary"
    scans: tuple[str, ...] = ()
    scaled_from: Shape = ()
    weight: int = 0

    def __post_init__(self) -> None:
        named = [("pass", self.pass_name, tuple(PASSES)), ("regime", self.regime, REGIMES)]
        for what, value, known in (*named, *(("scan", scan, SCANS) for scan in self.scans)):
            if value not in known:
                raise UsageError(
                    f"no {what} is called {value!r}.", f"known are {', '.join(known)}.", "name one of them."
                )
        if self.step.subject in ("layer_norm", "network") and self.channel_axis != len(self.shape) - 1:
            raise UsageError(
                f"{self.pass_name} of shape {self.shape} has channel_axis {self.channel_axis}.",
                "features lie on the last axis there.",
                f"give channel_axis {len(self.shape) - 1}.",
            )
        rows = self.shape[0 if self.channel_axis else 1]
        if self.step.call.kind == "fit" and rows < len(CHUNKS):
            raise UsageError(
                f"fit of shape {self.shape} has {rows} rows.",
                f"they arrive in {len(CHUNKS)} chunks, and empty chunks are tested by a clause, not timed.",
                f"give at least {len(CHUNKS)} rows.",
            )

    @property
    def step(self) -> Pass:
        """What is called."""
        return PASSES[self.pass_name]

    @property
    def id(self) -> str:
        """The workload as a word."""
        word = f"{self.pass_name}-{'x'.join(map(str, self.shape))}-axis{self.channel_axis}-{self.dtype}"
        return word if self.regime == "ordinary" else f"{word}-{self.regime}"

    @property
    def channels(self) -> int:
        """Extent of the channel axis."""
        return self.shape[self.channel_axis]

    @property
    def elements(self) -> int:
        """Elements of the shape."""
        return math.prod(self.shape)

    def case(self, seed: int = 0) -> Case:
        """The case: one call on seeded data; the same seed gives the same case, bit for bit."""
        from bnspec.benchmarks.workloads.cases import case_of  # which needs this class

        return case_of(self, seed)
