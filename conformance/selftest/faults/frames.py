"""Frames of the wire, changed at random: each is read, refused as garbage, or refused as a reply; nothing else may happen.

python -m bnspec.conformance.selftest.faults.frames 1000000
"""

from __future__ import annotations

import collections
import copy
import json
import random
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bnspec.backends.harness.replies import (
    BadReply,
    bandwidth_of,
    devices_of,
    hello_of,
    kernels_of,
    observation_of,
    timing_of,
)
from bnspec.backends.worker.wire import MAGIC, Channel, Closed, Garbage, TimedOut
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation, StepResult

#: Bytes of a frame that are sent at most: a socket takes them without a reader.
SENT_BYTES = 100_000
FRAME_BYTES = 1 << 20
#: Values that take the place of any other in a header.
HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 2**200, -1e308, float("inf"), float("nan"), "", "ok", "\ud800", "\x1b[2J", "a" * 5000,
    [], {}, [[[[[[]]]]]], [None] * 100, {"": {}}, "0/outputs/y", "-1/outputs/y", "0/outputs", 1.5,
)  # fmt: skip


def fuzz(count: int, seed: int, say: Callable[[int], None] = lambda done: None) -> collections.Counter[str]:
    """Change so many frames and read each; returns how many were "read", "garbage", "bad reply", or "closed" (cut short).

    Any other exception passes through, with the seed and the number of the frame as a note.
    """
    draw = random.Random(seed)
    counted: collections.Counter[str] = collections.Counter()
    originals = replies()
    for number in range(count):
        header, buffers = draw.choice(originals)
        try:
            counted[read(changed(header, buffers, draw))] += 1
        except BaseException as error:
            error.add_note(f"seed {seed}, frame {number}")
            raise
        if number % 10_000 == 0:
            say(number)
    return counted


def replies() -> list[tuple[dict[str, Any], list[bytes]]]:
    """One reply of each kind, as a worker sends it."""
    y = np.arange(6, dtype=np.float32).reshape(2, 3)
    step = StepResult(
        "ok", "", {"y": y}, {"running_mean": y[0]}, {"running_mean": y[1]}, written=("x",), aliases=(("y", "x"),)
    )
    again = StepResult("ok", "", {"y": y}, overwritten=((0, "y"),))
    head, data = Observation("ok", "", (step, again), 0.1, 0.1).header()
    timed, timed_data = Observation("ok", "", (step,), 0.1, 0.1).header()
    timing = dict.fromkeys(
        ("first_ns", "compile_ns", "warmup", "calls_per_sample", "timed_ns", "overhead_ns", "probes_ns"), 1
    )
    more = {"samples_ns": [1, 2], "dispatch_ns": None, "page_faults_per_call": 0.5, "threads": 1, "peak_bytes": None}
    whole = {
        **timing,
        **more,
        "device_ns": 0.5,
        "pipelined_ns": None,
        "probes": {"keeps_the_dtype": ""},
        "shapes": [{"y": [2, 3]}],
    }
    curve = {"action": "copy", "threads": 1, "sizes_bytes": [64], "bytes_per_second": [1e9]}
    plain_copy = {"size_bytes": 64, "samples_ns": [5], "same": True}
    hello = {"status": "ready", "reason": "", "versions": {"a": "1"}, "conventions": Conventions().to_json()}
    return [
        ({**head, "do": "run"}, data),
        ({"timing": whole, "observation": timed, "do": "time"}, timed_data),
        ({"kernels": {"k": 1.0}, "do": "kernels"}, []),
        ({"curves": [curve], "copies": [plain_copy], "timed_ns": 5, "do": "roofs"}, []),
        ({"devices": {"cpu": "ready"}, "do": "devices"}, []),
        ({**hello, "do": "hello"}, []),
    ]


def changed(header: dict[str, Any], buffers: list[bytes], draw: random.Random) -> bytes:
    """The frame with a few changes: of values, of lengths, of bytes; or cut, doubled, nested, or none of it."""
    if draw.random() < 0.7:
        header = json.loads(json.dumps(header))
        for _ in range(draw.randint(1, 3)):
            _change_value(header, draw)
    part = json.dumps(header).encode()
    if draw.random() < 0.05:
        part = draw.choice((b"[" * 5000, b'{"a":' * 5000, b"", b"\xff\xfe", b"1" * 6000, part[: len(part) // 2]))
    parts = [part, *buffers]
    if draw.random() < 0.2:
        parts = draw.choice((parts[:1], [*parts, b"x"], [p[: draw.randint(0, len(p))] for p in parts], parts[::-1]))
    sizes = [len(p) for p in parts]
    if draw.random() < 0.1:
        sizes[draw.randrange(len(sizes))] = draw.choice((0, 1, 2**20, 2**40, 2**64 - 1))
    count = draw.choice((0, 1, 2**16, 2**32 - 1)) if draw.random() < 0.05 else len(parts)
    frame = MAGIC + struct.pack("<I", count) + b"".join(struct.pack("<Q", s) for s in sizes) + b"".join(parts)
    if draw.random() < 0.3:
        flipped = bytearray(frame)
        for _ in range(draw.randint(1, 8)):
            flipped[draw.randrange(len(flipped))] = draw.randrange(256)
        frame = bytes(flipped)
    if draw.random() < 0.1:
        frame = frame[: draw.randrange(len(frame))]
    return frame[:SENT_BYTES]


def _change_value(data: Any, draw: random.Random) -> None:
    """Replace, remove or move one value, at any depth."""
    while isinstance(data, (dict, list)) and data:
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        key = draw.choice(keys)
        if isinstance(data[key], (dict, list)) and data[key] and draw.random() < 0.75:
            data = data[key]
            continue
        kind = draw.random()
        if kind < 0.2:
            del data[key]
        elif kind < 0.3 and isinstance(data, dict):
            data[draw.choice(("", "0/before/x", "x" * 300, "\ud800"))] = data.pop(key)
        else:
            data[key] = copy.deepcopy(draw.choice(HOSTILE))
        return


def read(frame: bytes) -> str:
    """Read a frame as the harness does, from a socket whose other end has closed."""
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SENT_BYTES)
    with ours, theirs:
        theirs.sendall(frame)
        theirs.shutdown(socket.SHUT_WR)
        try:
            header, buffers = Channel(ours, FRAME_BYTES).receive(5.0)
            kind = header.pop("do", "run")
            if kind == "hello":
                hello_of(header)
            elif kind == "time":
                timing_of(header, buffers, 3)
            elif kind == "roofs":
                bandwidth_of(header, buffers)
            elif kind == "kernels":
                kernels_of(header, buffers)
            elif kind == "devices":
                devices_of(header, buffers)
            else:
                observation_of(header, buffers, (2,))
        except Garbage:
            return "garbage"
        except BadReply:
            return "bad reply"
        except Closed:
            return "closed"
        except TimedOut:
            raise AssertionError("a closed socket was waited for") from None
    return "read"


def main(arguments: list[str]) -> int:
    """Fuzz so many frames and print what became of them, the time and the growth of this process."""
    count = int(arguments[0]) if arguments else 1_000_000
    fuzz(2000, seed=0)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    counted = fuzz(count, seed=1)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    words = ", ".join(f"{n} {what}" for what, n in counted.most_common())
    sys.stdout.write(
        f"{count} frames: {words}; {time.monotonic() - started:.0f} s, {grown / 1024:.1f} MiB more memory\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
