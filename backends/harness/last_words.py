"""The last words of a process, from the end of what it printed."""

from __future__ import annotations

import re

#: How much of the end of a process's output is kept, and how much of a line is quoted.
KEPT_BYTES, QUOTED = 1 << 16, 200
#: What faulthandler writes where a signal ends the process: its first line, and a line of the trace.
FAULT = "Fatal Python error: "
FRAME = re.compile(r'File "(?:.*[\\/])?([^"\\/]+)", line (\d+) in (.+)')


def last_words(output: bytes) -> tuple[str, str]:
    """Where the process was when a signal ended it, and the last line that it had printed; "" where that is not known."""
    before, fault, trace = output.decode(errors="replace").rpartition(FAULT)
    lines = [line.strip() for line in (before if fault else trace).splitlines() if line.strip()]
    frame = FRAME.search(trace) if fault else None
    return f"{frame[3]}, {frame[1]}:{frame[2]}" if frame else "", lines[-1][:QUOTED] if lines else ""
