"""The framed protocol between the harness and a worker: a JSON header and raw buffers.

    frame = magic "BNW1", u32 number of parts, u64 length of each part, then the parts; part 0 is the JSON header, an object

What is no frame raises ``Garbage``, whatever it is; nothing is allocated before its length has been compared with the limit.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import json
import math
import select
import struct
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

MAGIC = b"BNW1"
#: The protocol version, compared in the worker's hello. 3: requests are numbered, and each reply says which one it answers.
PROTOCOL = 4
#: Most parts of a frame: a case has a few dozen arrays, and a history of calls some for each call.
PARTS_AT_MOST = 65_536
#: Most bytes of a header: names, shapes and messages.
HEADER_BYTES = 64 * 2**20
#: Most bytes of a frame, unless a channel is given another limit.
FRAME_BYTES = 2**31
#: Parts of at most so many bytes together are sent, and read, by one call of the system: most are small.
TOGETHER_BYTES = 1 << 18
#: Seconds between two calls of what a channel watches while it waits.
WATCH_SECONDS = 0.2


class Closed(Exception):
    """The other side closed the connection."""


class TimedOut(Exception):
    """The other side did not answer, or did not take the request, in time."""


class Garbage(Exception):
    """What came is no frame; the text says why."""


class Channel:
    """One end of the protocol over a connected stream socket.

    ``frame_bytes``: a longer frame is garbage. ``watch``: called several times a second while waiting; what it raises ends it.
    """

    def __init__(self, socket: Any, frame_bytes: int = FRAME_BYTES, watch: Optional[Callable[[], None]] = None) -> None:
        self._socket, self.frame_bytes, self._watch = socket, frame_bytes, watch
        socket.setblocking(False)
        self._polls = {}  # type: Dict[int, Any]
        for event in (select.POLLIN, select.POLLOUT):
            self._polls[event] = select.poll()
            self._polls[event].register(socket, event)

    def send(
        self, header: Dict[str, Any], buffers: Optional[List[bytes]] = None, seconds: Optional[float] = None
    ) -> None:
        """Send one frame, for at most ``seconds``. Raises Closed, TimedOut."""
        parts = [json.dumps(header).encode()] + list(buffers or [])
        head = MAGIC + struct.pack("<I", len(parts)) + b"".join(struct.pack("<Q", len(p)) for p in parts)
        deadline = _deadline(seconds)
        for part in _joined([head] + parts):
            self._send_all(part, deadline)

    def receive(self, seconds: Optional[float] = None) -> Tuple[Dict[str, Any], List[bytes]]:
        """The next frame; waits at most ``seconds`` for all of it. Raises Closed, TimedOut, Garbage."""
        deadline = _deadline(seconds)
        head = self._exactly(8, deadline)
        if head[:4] != MAGIC:
            raise Garbage("a frame starts with %r, this starts with %r" % (MAGIC, head[:4]))
        (count,) = struct.unpack("<I", head[4:])
        if not 1 <= count <= PARTS_AT_MOST:
            raise Garbage("a frame has 1 to %d parts, this has %d" % (PARTS_AT_MOST, count))
        sizes = struct.unpack("<%dQ" % count, self._exactly(8 * count, deadline))
        if sizes[0] > HEADER_BYTES:
            raise Garbage("a frame's header has at most %d bytes, this has %d" % (HEADER_BYTES, sizes[0]))
        if sum(sizes) > self.frame_bytes:
            raise Garbage("a frame has at most %d bytes, this has %d" % (self.frame_bytes, sum(sizes)))
        parts = self._parts(sizes, deadline)
        return header_of(parts[0]), parts[1:]

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _send_all(self, part: bytes, deadline: Optional[float]) -> None:
        left = memoryview(part)
        while left:
            self._wait(deadline, select.POLLOUT)
            try:
                left = left[self._socket.send(left[: 1 << 20]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Closed() from None

    def _parts(self, sizes: Sequence[int], deadline: Optional[float]) -> List[bytes]:
        """The parts of these sizes; those that are small together are read at once."""
        parts = []  # type: List[bytes]
        for count in _runs(sizes):
            run = sizes[len(parts) : len(parts) + count]
            data, start = self._exactly(sum(run), deadline), 0
            for size in run:
                parts.append(data[start : start + size])
                start += size
        return parts

    def _exactly(self, size: int, deadline: Optional[float]) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait(deadline, select.POLLIN)
            try:
                piece = self._socket.recv(min(size - len(data), 1 << 20))
            except BlockingIOError:
                continue
            except OSError:
                raise Closed() from None
            if not piece:
                raise Closed()
            data += piece
        return bytes(data)

    def _wait(self, deadline: Optional[float], event: int) -> None:
        """Wait until the socket can be used, or is closed. Raises TimedOut, and what ``watch`` raises."""
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            turn = left if self._watch is None else WATCH_SECONDS if left is None else min(left, WATCH_SECONDS)
            if self._polls[event].poll(None if turn is None else math.ceil(1000.0 * turn)):
                return
            if self._watch is not None:
                self._watch()
            if left is not None and left <= 0.0:
                raise TimedOut()


def _runs(sizes: Sequence[int]) -> Iterator[int]:
    """How many parts, in turn, have at most ``TOGETHER_BYTES`` together, or are one."""
    count = total = 0
    for size in sizes:
        if count and total + size > TOGETHER_BYTES:
            yield count
            count = total = 0
        count, total = count + 1, total + size
    if count:
        yield count


def _joined(parts: List[bytes]) -> Iterator[bytes]:
    """The parts, those that are small together as one."""
    start = 0
    for count in _runs([len(p) for p in parts]):
        yield parts[start] if count == 1 else b"".join(parts[start : start + count])
        start += count


def header_of(part: bytes) -> Dict[str, Any]:
    """The header of a frame's first part. Raises Garbage: it is not the JSON of an object."""
    try:
        header = json.loads(part.decode())
    except (
        ValueError,
        RecursionError,
    ) as error:  # a UnicodeDecodeError is a ValueError, and so is a number of 5000 digits
        raise Garbage("the header is no JSON: %s" % type(error).__name__) from None
    if not isinstance(header, dict):
        raise Garbage("the header is a %s, not an object" % type(header).__name__)
    return header


def _deadline(seconds: Optional[float]) -> Optional[float]:
    return None if seconds is None else time.monotonic() + seconds
