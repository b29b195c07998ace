"""A judging process: it judges cases for a run, one after the other. Started by ``judges``; ends with the run.

    python -c "from bnspec.conformance.run.judging_process import begin; begin()" FD PROCESSES

Both ends of the connection are ours, so that messages are pickles. It keeps oracles: a case comes to the same one of the
``PROCESSES`` processes from all targets.
"""

from __future__ import annotations

import faulthandler
import functools
import gc
import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from bnspec.backends.worker.__main__ import COLLECTIONS
from bnspec.backends.worker.lifetime import die_with_parent
from bnspec.conformance.judge.collector import CaseJudgements, Collector
from bnspec.conformance.judge.known_deviations import known_lookup
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.kept import KeptOracles

#: A case or an observation, as the wire has it.
Packed = tuple[dict[str, Any], list[bytes]]


@dataclass(frozen=True)
class Judged:
    """What all questions about a target have in common: by which clauses and conventions it is judged, its release and its device.

    ``collector``: of the target; made once, where it is first asked for, and not sent.
    """

    clauses: tuple[str, ...]
    conventions: Conventions
    backend: str
    versions: Mapping[str, str]
    device: str = "cpu"

    @functools.cached_property
    def collector(self) -> Collector:  # see the class
        return Collector(self.clauses, self.conventions, known_lookup(self.backend, self.versions, self.device))

    def __reduce__(self) -> tuple[type[Judged], tuple[Any, ...]]:
        """Without the collector."""
        return Judged, (self.clauses, self.conventions, self.backend, self.versions, self.device)


@dataclass(frozen=True)
class Question:
    """A case to judge.

    Attributes:
        ticket: which answer belongs to it.
        target: the number of the case's target; id: of the case, which needs not be read where its oracle is kept; first: the target itself, where this is the first question about it.
    """

    ticket: int
    target: int
    id: str
    case: Packed
    observation: Packed
    first: Judged | None = None


@dataclass(frozen=True)
class Answer:
    """What is said of the case, with the processor time that it took; or the error in its place."""

    ticket: int
    found: CaseJudgements | None = None
    seconds: float = 0.0
    error: Exception | None = None


class Judging:
    """Answers questions. ``processes``: how many do so for the run."""

    def __init__(self, processes: int) -> None:
        self._oracles = KeptOracles(processes)
        self._targets: dict[int, Judged] = {}

    def answer(self, question: Question) -> Answer:
        """The judgements of the case; an error of the judge's is an answer, too."""
        started = time.process_time()
        if question.first is not None:
            self._targets[question.target] = question.first
        try:
            oracle = self._oracles.kept(question.id) or self._oracles.of(Case.from_header(*question.case))
            observation = Observation.from_header(*question.observation)
            found = self._targets[question.target].collector.judged(oracle.case, observation, oracle)
        except Exception as error:  # noqa: BLE001  # the run says it
            error.add_note(traceback.format_exc())
            return Answer(question.ticket, error=error)
        return Answer(question.ticket, found, time.process_time() - started)


def begin() -> None:
    """Answer questions until the run has no more."""
    die_with_parent()
    faulthandler.enable()
    gc.freeze()  # what was imported stays, and oracles are many objects that last: collected rarely, judging takes 3 % less time
    gc.set_threshold(*COLLECTIONS)
    connection, judging = Connection(int(sys.argv[1])), Judging(int(sys.argv[2]))
    try:
        while True:
            connection.send(judging.answer(connection.recv()))
    except (EOFError, OSError):
        os._exit(0)
