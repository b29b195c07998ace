"""Running an installer: its output kept, ended with this run, and stoppable while it works."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.interruption import check
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.process import Ended, OverLimit, WorkerProcess

#: Seconds that one call of an installer may take, and between two looks at it.
SECONDS, LOOK_SECONDS = 1800.0, 0.02


def run(command: Sequence[str], environ: Mapping[str, str], held: int, seconds: float = SECONDS) -> tuple[int, str]:
    """The exit status and the end of the output.

    Args: held: the descriptor of a lock, which the process holds too: where this run is killed, the next one waits for its end.
    Raises NotBuilt: it went beyond a limit, or took too long.
    """
    process = WorkerProcess(command, environ, held, Limits())
    deadline = time.monotonic() + seconds
    try:
        while True:
            check()
            process.watch()
            if time.monotonic() > deadline:
                raise NotBuilt(f"{command[0]} did not end within {seconds:g} s")
            time.sleep(LOOK_SECONDS)
    except Ended:
        process.end(0.0)
        return process.code, process.output.last().decode(errors="replace")
    except OverLimit as error:
        process.end(0.0)
        raise NotBuilt(f"{command[0]} was ended at its limit: {error}") from None
    except BaseException:
        process.end(0.0)
        raise
