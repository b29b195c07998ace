"""An adapter of the plain layer that does one harmful thing, once, in a training step: what the environment names."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainAdapter

#: The variables that name the fault, and the file whose existence says that it has been done.
FAULT, MARK = "BNSPEC_FAULT", "BNSPEC_FAULT_MARK"


class SilentError(Exception):
    """An exception whose text raises."""

    def __str__(self) -> str:
        """Raises."""
        raise RuntimeError("no text")


def _raise() -> None:
    raise SilentError


def _send(data: bytes) -> None:
    """Write on the worker's socket, as no adapter should."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # only names
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):  # noqa: PTH115  # as it is
                os.write(int(name), data)
        except OSError:
            continue


def _framed(header: Any) -> bytes:
    part = json.dumps(header).encode()
    return b"BNW1" + struct.pack("<IQ", 1, len(part)) + part


def _print_much() -> None:
    for _ in range(10**6):
        os.write(1, bytes(2**20))


def _use_memory() -> None:
    kept = [np.ones(2**27, np.uint8) for _ in range(64)]
    time.sleep(60.0 + len(kept))


def _signal(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


#: By name, what is done in the middle of a case.
FAULTS: Mapping[str, Callable[[], Any]] = {
    "SIGSEGV in a case": _signal(signal.SIGSEGV),
    "SIGABRT in a case": _signal(signal.SIGABRT),
    "a real-time signal in a case": _signal(37),
    "exit in a case": lambda: os._exit(7),
    "an exception whose text raises": _raise,
    "garbage on the socket": lambda: _send(b"HTTP/1.1 200 OK\r\n\r\n"),
    "a forged failure": lambda: _send(_framed({"failure": "I say so", "answers": None})),
    "a forged answer": lambda: _send(_framed({"status": "ok", "answers": 1, "steps": [], "arrays": {}, "seconds": 0})),
    "deep nesting": lambda: _send(b"BNW1" + struct.pack("<IQ", 1, 10**5) + b"[" * 10**5),
    "a part of an exabyte": lambda: _send(b"BNW1" + struct.pack("<IQ", 1, 2**60)),
    "output without end": _print_much,
    "memory beyond the limit": _use_memory,
    "a hang": lambda: time.sleep(600.0),
    "a stopped process": _signal(signal.SIGSTOP),
    "processes left behind": lambda: [
        subprocess.Popen(["sleep", "600"], start_new_session=own) for own in (False, True)
    ],
    "SIGKILL in a case, from outside": _signal(signal.SIGKILL),
    "SIGTERM in a case, from outside": _signal(signal.SIGTERM),
}


class FaultyLayer(PlainLayer):
    """The plain layer, but for the fault."""

    def training(self, x: Any) -> Any:
        """y; before the first, the fault."""
        fault, mark = os.environ.get(FAULT, ""), Path(os.environ.get(MARK, "/"))
        if fault and not mark.exists():
            mark.touch()
            FAULTS[fault]()
        return super().training(x)


class Faulty(PlainAdapter):
    """Conforms, but for the fault."""

    layer_class = FaultyLayer
