"""One writer for a run directory."""

from __future__ import annotations

import os
from pathlib import Path

from bnspec.errors import UsageError


class Lock:
    """Holds a folder until it is closed or the process ends. Raises UsageError: another process holds it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            import fcntl

            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UsageError(
                f"{path} is being written.",
                "another process works on this run.",
                "wait until it has ended, or end it; then resume the run.",
            ) from None
        except (ImportError, OSError):  # a system or a file system without locks: a second writer is not refused
            return

    def close(self) -> None:
        """Let the folder go; twice is once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
