"""What a worker sends, checked before anything is made of it: a backend shares the worker's process and may send what it likes.

Every function raises ``BadReply`` for what is no answer to the request, whatever it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from bnspec.errors import UsageError
from bnspec.model.buffers import dtype_of
from bnspec.model.conventions import Conventions
from bnspec.model.names import IDENTIFIER, OVERRUN, WRITTEN, fits
from bnspec.model.observation import Observation
from bnspec.model.timing import Bandwidth, TimingResult
from bnspec.model.vocabulary import TargetStatus

#: Characters of a message that are kept.
MESSAGE = 2000
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
#: How a step can end in a worker that answers.
Answered = Literal["ok", "declined", "error", "not_run"]
#: The name of an array in a reply: number of the step, group, name.
ARRAY = re.compile(r"(\d{1,6})/(outputs|before|after)/(.+)", re.DOTALL)


class BadReply(Exception):
    """A worker's reply is none; the text says why."""


class _Step(msgspec.Struct):
    status: Answered
    message: str
    written: list[str]
    overwritten: list[tuple[Count, str]]
    aliases: list[tuple[str, str]]
    overruns: list[str] = []
    addressed: bool = True


class _Array(msgspec.Struct):
    buffer: Count
    dtype: str
    shape: Annotated[list[Count], msgspec.Meta(max_length=32)]
    strides: Annotated[list[int], msgspec.Meta(max_length=32)]
    offset: Count


class _Observation(msgspec.Struct):
    status: Answered
    message: str
    steps: list[_Step]
    arrays: dict[str, _Array]
    seconds: Amount
    cpu_seconds: Amount = 0.0


class _Hello(msgspec.Struct):
    status: TargetStatus
    reason: str
    versions: dict[str, str] = {}
    conventions: dict[str, Any] = {}
    framework: str = ""
    ran_on: dict[str, str] = {}
    open_seconds: Amount = 0.0
    why: str = ""
    fix: str = ""


@contextlib.contextmanager
def _checked() -> Iterator[None]:
    """Whatever is wrong with a reply is BadReply."""
    try:
        yield
    except BadReply:
        raise
    except (
        UsageError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise BadReply(clean(f"{type(error).__name__}: {error}")) from None
    except MemoryError:
        raise BadReply("its arrays do not fit into memory") from None


def clean(text: str) -> str:
    """The text as it can be written: cut, and without halves of surrogate pairs."""
    return text[:MESSAGE].encode("utf-8", "replace").decode("utf-8")


def observation_of(data: Mapping[str, Any], buffers: list[bytes], steps: Sequence[int]) -> Observation:
    """The observation of a case. ``steps``: how many steps it may have."""
    with _checked():
        reply = msgspec.convert(data, _Observation)
        if len(reply.steps) not in steps:
            raise BadReply(f"it has {len(reply.steps)} steps, the case {' or '.join(map(str, steps))}")
        if not math.isfinite(reply.seconds) or not math.isfinite(reply.cpu_seconds):
            raise BadReply("its time is infinite")
        for name, array in reply.arrays.items():
            _check_array(name, array, len(reply.steps), buffers)
        reply.message = clean(reply.message)
        for number, step in enumerate(reply.steps):
            step.message = clean(step.message)
            if any(earlier >= number for earlier, _ in step.overwritten):
                raise BadReply(f"step {number} overwrites results of a step that is not before it")
            named = [*step.written, *(n for _, n in step.overwritten), *(n for pair in step.aliases for n in pair)]
            if strange := [name for name in named if not fits(WRITTEN, name)]:
                raise BadReply(f"{clean(repr(strange[0]))} names nothing that a call may write to or share")
            if strange := [words for words in step.overruns if not fits(OVERRUN, words)]:
                raise BadReply(f"{clean(repr(strange[0]))} names no place beside an array")
        return Observation.from_header(msgspec.to_builtins(reply), buffers)


def _check_array(name: str, array: _Array, steps: int, buffers: Sequence[bytes]) -> None:
    """A name of a step that is there, and no more elements than the buffer has: a view that repeats them is unbounded."""
    place = ARRAY.fullmatch(name)
    if place is None or int(place[1]) >= steps or not fits(IDENTIFIER, place[3]):
        raise BadReply(f"{clean(repr(name))} names no array of its {steps} steps")
    size = math.prod(array.shape) * dtype_of(array.dtype).itemsize
    if array.buffer >= len(buffers) or size > len(buffers[array.buffer]):
        raise BadReply(f"{name} of shape {tuple(array.shape)} does not fit into its buffer")


def timing_of(data: Mapping[str, Any], buffers: list[bytes], steps: int) -> tuple[TimingResult | None, Observation]:
    """What was timed of a case with so many steps, None where it did not end well, and the observation."""
    with _checked():
        if data["timing"] is None:
            return None, observation_of(data["observation"], buffers, range(1, steps + 1))
        observation = observation_of(data["observation"], buffers, (1, 2))
        timing = msgspec.convert(data["timing"], TimingResult)
        numbers: list[float] = [
            timing.first_ns,
            timing.compile_ns,
            timing.warmup,
            *timing.samples_ns,
            timing.timed_ns,
            timing.probes_ns,
        ]
        numbers += [
            timing.overhead_ns,
            timing.dispatch_ns or 0,
            timing.page_faults_per_call or 0,
            timing.peak_bytes or 0,
        ]
        numbers += [
            timing.calls_per_sample - 1,
            timing.clock_resolution_ns,
            timing.device_ns or 0,
            timing.device_resolution_ns or 0,
            timing.pipelined_ns or 0,
            *(v for v in timing.device_state.values() if not isinstance(v, str)),
            1 if timing.threads is None else timing.threads - 1,
        ]
        if not timing.samples_ns or not all(0 <= n < 2**62 for n in numbers):
            raise BadReply("its times are negative, infinite or missing")
        timing = dataclasses.replace(timing, device_state={clean(k): v for k, v in timing.device_state.items()})
        if len(timing.shapes) != len(observation.steps):
            raise BadReply(f"it has shapes of {len(timing.shapes)} calls, and {len(observation.steps)} steps")
        return timing, observation


def kernels_of(data: Mapping[str, Any], buffers: list[bytes]) -> dict[str, float]:
    """The kernels of a call with their shares of its time."""
    with _checked():
        found = msgspec.convert(data["kernels"], dict[str, float])
        if not all(0 <= share <= 1 for share in found.values()):
            raise BadReply("a kernel's share of the time is none")
        return {clean(name): share for name, share in found.items()}


def bandwidth_of(data: Mapping[str, Any], buffers: list[bytes]) -> Bandwidth:
    """The bandwidths of a device's memory."""
    with _checked():
        found = msgspec.convert(data, Bandwidth)
        for curve in found.curves:
            speeds = curve.bytes_per_second
            right = 0 < len(curve.sizes_bytes) == len(speeds) and curve.threads > 0 and min(curve.sizes_bytes) > 0
            if not right or not all(0 < s < math.inf for s in speeds):
                raise BadReply("a curve has no sizes, or no speeds")
        if not all(c.samples_ns and c.size_bytes > 0 and min(c.samples_ns) >= 0 for c in found.copies):
            raise BadReply("a copy has no times")
        return found


def devices_of(data: Mapping[str, Any], buffers: list[bytes]) -> dict[str, str]:
    """Each kind of device with its state."""
    with _checked():
        found = msgspec.convert(data["devices"], dict[str, str])
        return {clean(kind): clean(state) for kind, state in found.items()}


def hello_of(data: Mapping[str, Any]) -> tuple[_Hello, Conventions | None]:
    """What a worker says when it opens, and the conventions of a ready backend."""
    with _checked():
        said = msgspec.convert(data, _Hello)
        said.reason, said.why, said.fix = clean(said.reason), clean(said.why), clean(said.fix)
        said.versions = {clean(k): clean(v) for k, v in said.versions.items()}
        said.framework = clean(said.framework)
        said.ran_on = {clean(k): clean(v) for k, v in said.ran_on.items()}
        if not math.isfinite(said.open_seconds):
            raise BadReply("its time to open is infinite")
        if "conventions" not in data:
            if said.status == "ready":
                raise BadReply("a ready backend has conventions")
            return said, None
        return said, Conventions.from_json(said.conventions)
