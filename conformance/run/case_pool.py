"""The cases of a run and the oracle's answers to them, shared by all targets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from bnspec.model.case import Case
from bnspec.oracle.kept import KeptOracles
from bnspec.oracle.oracle import Oracle


class CasePool:
    """The cases of a run with their oracles; drawn as far as the fastest target is.

    Attributes:
        seconds: processor time that drawing took. took: is told what each case took on a target: seconds, and processor seconds.
    """

    def __init__(self, source: Iterable[Case], took: Callable[[Case, float, float], None] = lambda *_: None) -> None:
        self.took, self._source = took, iter(source)
        self._drawn: list[Case] = []
        self._oracles = KeptOracles()
        self._lock = threading.Lock()
        self.seconds = 0.0

    def __getitem__(self, index: int) -> Case | None:
        """The case, or None after the last one."""
        with self._lock:
            started = time.thread_time()
            while len(self._drawn) <= index:
                case = next(self._source, None)
                if case is None:
                    return None
                self._drawn.append(case)
            self.seconds += time.thread_time() - started
            return self._drawn[index]

    def before(self, index: int) -> list[Case]:
        """The cases before the one of this number."""
        with self._lock:
            return self._drawn[:index]

    def __len__(self) -> int:
        """How many there are: draws them all."""
        index = len(self._drawn)
        while self[index] is not None:
            index = len(self._drawn)
        return index

    def oracle(self, case: Case) -> Oracle:
        """The case's oracle."""
        return self._oracles.of(case)
