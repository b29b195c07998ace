"""The end of a process with that of the one that started it.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

#: Linux: the number of prctl's option that names the signal at the end of the parent.
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """End this process when the thread that started it does, even while it is blocked in C; where there is no such signal, a
    thread looks every second."""
    if "linux" in sys.platform:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os.killpg(os.getpgrp(), signal.SIGKILL)
