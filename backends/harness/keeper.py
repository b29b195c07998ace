"""The keeper: a small process beside a run that ends whatever the run started, once the run has ended, by SIGKILL too.

    python -I -S keeper.py TOKEN

Its standard input is a pipe from the run: "+PID" and "-PID" name the process groups of workers that are open. At the end of
the pipe it kills those groups, and every process whose environment holds a token of the run: what a worker started may have
left its group. The run itself uses ``kill_marked`` for one worker. Imports the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

#: The variable by which everything that a worker started is found, unless it cleared its environment.
MARK = "BNSPEC_WORKER"
#: A process may start another one while it is looked for: how often the search is repeated, while it finds any.
ROUNDS = 20


def marked(token: str) -> list[int]:
    """The processes of this user whose environment has a mark that begins with the token; none where there is no /proc."""
    wanted = f"{MARK}={token}".encode()
    found = []
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for number in numbers:
        try:
            with open(f"/proc/{number}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue
        if environment.startswith(wanted) or b"\0" + wanted in environment:
            found.append(number)
    return [number for number in found if number != os.getpid()]


def kill_marked(token: str) -> None:
    """Kill the processes with this mark, and those that they start meanwhile."""
    for _ in range(ROUNDS):
        alive = marked(token)
        if not alive:
            return
        for number in alive:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)


def kill_group(number: int) -> None:
    """Kill a process group; nothing where it is gone."""
    with contextlib.suppress(OSError):
        os.killpg(number, signal.SIGKILL)


def main() -> int:
    """Wait for the end of the pipe, then kill what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        with contextlib.suppress(ValueError):
            (groups.add if line[:1] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        kill_group(group)
    kill_marked(sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
