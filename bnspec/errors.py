"""The error tree. Every message says what is wrong, why, and how to fix it.

    BnspecError
    +-- UsageError       the caller's input is wrong           exit status 2
    +-- HarnessError     the harness could not do its work     exit status 3
    +-- Declined         a backend does not offer this case    an observation, never a failure
    +-- DeviceAbsent     the asked device is not here          an observation, never a failure
    KeyboardInterrupt
    +-- Interrupted      a signal stopped the run              exit status 128 + its number

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import errno

#: The system's words for a full disk and for a full quota.
FULL = (errno.ENOSPC, errno.EDQUOT)


def in_one_line(text: str) -> str:
    r"""The text with each line feed as ``\n``: a name that somebody gave forges no line of a message."""
    return text.replace("\r\n", "\\n").replace("\n", "\\n")


class BnspecError(Exception):
    """Base of all errors raised on purpose; ``what``, ``why`` and ``fix`` are kept apart."""

    exit_status = 3

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what, why, fix)
        self.what, self.why, self.fix = what, why, fix

    def __str__(self) -> str:
        lines = [in_one_line(self.what)]
        if self.why:
            lines.append("  Why:  " + in_one_line(self.why))
        if self.fix:
            lines.append("  Fix:  " + in_one_line(self.fix))
        return "\n".join(lines)


class UsageError(BnspecError):
    """The call, a file or an adapter handed to us is wrong."""

    exit_status = 2


class HarnessError(BnspecError):
    """The harness itself could not do its work."""

    exit_status = 3


class Declined(BnspecError):
    """Raised by an adapter for a case that its backend does not offer; ``what`` is the reason."""


class DeviceAbsent(BnspecError):
    """Raised by an adapter when the asked device is not present; ``what`` is the reason."""


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run between two cases. ``fix``: the call that goes on with it; empty where there is none."""

    def __init__(self, number: int, fix: str = "") -> None:
        super().__init__(number, fix)
        self.number, self.fix = number, fix

    @property
    def exit_status(self) -> int:
        """128 + the signal's number, as shells have it."""
        return 128 + self.number

    def __str__(self) -> str:
        return "interrupted; go on with: " + in_one_line(self.fix) if self.fix else "interrupted"
