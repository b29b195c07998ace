"""The framed protocol between the harness and a worker: a JSON header and raw buffers.

    frame = magic "BNW1", u32 number of parts, u64 length of each part, then the parts; part 0 is the JSON header

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import json
import select
import struct
import time
from typing import Any, Dict, List, Optional, Tuple

from bnspec.errors import HarnessError

MAGIC = b"BNW1"
#: The protocol version, compared in the worker's hello. 2: timings and bandwidths are separate records.
PROTOCOL = 2


class Closed(Exception):
    """The other side closed the connection."""


class TimedOut(Exception):
    """The other side did not answer in time."""


class Channel:
    """One end of the protocol over a connected stream socket."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    def send(self, header: Dict[str, Any], buffers: Optional[List[bytes]] = None) -> None:
        """Send one frame. Raises Closed."""
        parts = [json.dumps(header).encode()] + list(buffers or [])
        head = MAGIC + struct.pack("<I", len(parts)) + b"".join(struct.pack("<Q", len(p)) for p in parts)
        try:
            self._socket.sendall(head)
            for part in parts:
                self._socket.sendall(part)
        except OSError:
            raise Closed() from None

    def receive(self, seconds: Optional[float] = None) -> Tuple[Dict[str, Any], List[bytes]]:
        """The next frame; waits at most ``seconds`` for all of it. Raises Closed, TimedOut, HarnessError (garbage)."""
        deadline = None if seconds is None else time.monotonic() + seconds
        head = self._exactly(8, deadline)
        if head[:4] != MAGIC:
            raise HarnessError(
                "the worker sent garbage.", "a frame starts with %r." % MAGIC, "report this with the run."
            )
        (count,) = struct.unpack("<I", head[4:])
        sizes = struct.unpack("<%dQ" % count, self._exactly(8 * count, deadline))
        parts = [self._exactly(n, deadline) for n in sizes]
        return json.loads(parts[0].decode()), parts[1:]

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _exactly(self, size: int, deadline: Optional[float]) -> bytes:
        data = bytearray()
        while len(data) < size:
            if deadline is not None:
                ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise TimedOut()
            try:
                piece = self._socket.recv(min(size - len(data), 1 << 20))
            except OSError:
                raise Closed() from None
            if not piece:
                raise Closed()
            data += piece
        return bytes(data)
