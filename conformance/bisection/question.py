"""What is asked of each release: the verdict of a clause, a case, a convention, or whether it is slower.

A question gets releases as functions that open a worker; each ask is a new process.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bnspec.backends.harness.launcher import Hello, Worker
from bnspec.clauses import CLAUSES
from bnspec.conformance.bisection.search import Answer
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.conventions.laboratory import Lab
from bnspec.conformance.conventions.outcome import Outcome
from bnspec.conformance.conventions.plan import EXPERIMENTS, learnt
from bnspec.conformance.judge.collector import COMPLETES, completion
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.model.call import TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.compare.conventions import text
from bnspec.reports.run.records import ratio_text
from bnspec.reports.statistics.paired import paired

#: Opens a process of a release.
Open = Callable[[], Worker]
#: Processes of each side that times rest on, at least and at most.
PROCESSES = (3, 15)
#: Seconds of timing in each.
SECONDS = 0.2


class Question(Protocol):
    """Something that a release has an answer to."""

    @property
    def words(self) -> str:
        """What is asked, for a person."""

    @property
    def repeated(self) -> bool:
        """Whether one ask is not enough to be sure."""

    @abstractmethod
    def ask(self, release: Open) -> Answer:
        """The answer of a release."""


def unanswered(hello: Hello) -> Answer:
    """The answer of a release whose backend does not open: none."""
    return Answer("", reason=f"{hello.status}: {hello.reason}")


@dataclass(frozen=True)
class ClauseQuestion:
    """Does the clause hold, over these cases? ``words`` is what is asked, here and below."""

    clause: str
    cases: Sequence[Case]
    repeated: bool = True
    oracles: dict[str, Oracle] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return f"{CLAUSES[self.clause].level} {self.clause}"

    def ask(self, release: Open) -> Answer:
        """Run the cases in one process, and judge them."""
        with release() as worker:
            if worker.hello.conventions is None:
                return unanswered(worker.hello)
            conventions = worker.hello.conventions
            return self.answer(
                [
                    self.judged(case, worker.run(case), conventions, self.oracles.setdefault(case.id, Oracle(case)))
                    for case in self.cases
                ]
            )

    def answer(self, found: Sequence[Judgement | None]) -> Answer:
        """The judgements of the cases as one answer; None where the clause has none."""
        judged = [j for j in found if j is not None]
        failing = [j for j in judged if not j.holds]
        if not judged:
            return Answer("declined", f"declined in all of {len(found)} cases")
        if not failing:
            return Answer("conforms", f"conforms in {len(judged)} case{'s' * (len(judged) > 1)}")
        worst = max(failing, key=lambda j: j.ratio)
        ratio = ratio_text("inf" if math.isinf(worst.ratio) else worst.ratio)
        return Answer("deviates", f"deviates in {len(failing)} of {len(judged)} cases, ratio {ratio}: {worst.message}")

    def judged(
        self, case: Case, observation: Observation, conventions: Conventions, oracle: Oracle
    ) -> Judgement | None:
        """The judgement of one case; None where the clause has none."""
        completed = completion(case, observation)
        if self.clause == COMPLETES or not completed.holds:
            return completed
        return judge(case, observation, conventions, oracle, checks_for([self.clause])).get(self.clause)


@dataclass(frozen=True)
class CaseQuestion:
    """Which of these clauses does the case break? In ``words``, its id."""

    case: Case
    clauses: Sequence[str]
    repeated: bool = True

    @property
    def words(self) -> str:
        return f"case {self.case.id}"

    def ask(self, release: Open) -> Answer:
        """Run it in a new process, and judge it."""
        with release() as worker:
            if worker.hello.conventions is None:
                return unanswered(worker.hello)
            observation = worker.run(self.case)
            completed = completion(self.case, observation)
            if not completed.holds:
                return Answer(observation.status, completed.message)
            found = judge(self.case, observation, worker.hello.conventions, Oracle(self.case), checks_for(self.clauses))
        broken = {c: j for c, j in found.items() if j is not None and not j.holds}
        if broken:
            return Answer(
                f"breaks {', '.join(sorted(broken))}", "; ".join(f"{c}: {j.message}" for c, j in sorted(broken.items()))
            )
        if all(j is None for j in found.values()):
            return Answer("declined", "declined")
        return Answer("conforms", f"conforms to {sum(j is not None for j in found.values())} clauses")


@dataclass(frozen=True)
class ConventionQuestion:
    """What do experiments leave possible of this convention? In ``words``, its name."""

    name: str
    repeated: bool = True

    @property
    def words(self) -> str:
        return f"convention {self.name}"

    def ask(self, release: Open) -> Answer:
        """Make the experiments up to the one that speaks of it."""
        with release() as worker:
            if worker.hello.conventions is None:
                return unanswered(worker.hello)
            lab, found = Lab.of(worker, worker.hello.conventions, None), dict[str, Outcome]()
            for experiment in EXPERIMENTS:
                lab.cases = {}
                found.update({o.field: o for o in experiment.run(lab)})
                if self.name in found:
                    return _convention(found[self.name])
                lab.known = learnt(worker.hello.conventions, tuple(found.values()))
        return Answer("", reason=f"no experiment speaks of {self.name}")


def _convention(outcome: Outcome) -> Answer:
    if outcome.interval is not None:
        low, high = outcome.interval
        return Answer(f"between {low:.3g} and {high:.3g}", outcome.evidence)
    return Answer(" or ".join(sorted(map(text, outcome.possible))) or "none of the known", outcome.evidence)


def timed_case(shape: tuple[int, ...] = (128, 64, 14, 14)) -> Case:
    """A training step with gradients on a batch of ordinary size, which speed is asked of where no case is given."""
    case = batch_norm_case(Plan(Form(shape, 1), short=True, seed=1))
    return dataclasses.replace(case, steps=(Step(TRAINING_GRADIENTS, ("x", "dy"), fresh=True),))


@dataclass(frozen=True)
class SpeedQuestion:
    """Is it slower than the oldest release, by this factor?

    Processes of both take turns; ``words`` has the factor. Enough were timed when the interval of the ratio lies on one side of the square root of the factor.
    """

    factor: float
    case: Case
    baseline: Open
    repeated: bool = False  # the processes are the repetition

    @property
    def words(self) -> str:
        return f"{self.factor:g} times as long"

    def ask(self, release: Open) -> Answer:
        """Time both, until the interval decides."""
        least, most = PROCESSES
        before, after = list[float](), list[float]()
        edge = math.sqrt(self.factor)
        for process in range(most):
            for times, opened in ((before, self.baseline), (after, release)):
                with opened() as worker:
                    if worker.hello.conventions is None:
                        return unanswered(worker.hello)
                    timing, observation = worker.time(self.case, {"seconds": SECONDS, "seed": process})
                if timing is None:
                    return Answer("", reason=f"not timed: {observation.steps[0].message}")
                times.append(statistics.median(timing.samples_ns))
            if len(after) < least:
                continue
            ratio = paired(before, after, adaptive=True)
            says = f"{ratio.ratio:.3g} times as long [{ratio.low:.3g}, {ratio.high:.3g}]"
            if ratio.low > edge:
                return Answer("slower", says, len(after))
            if ratio.high < edge:
                return Answer("as fast", says, len(after))
        return Answer("", reason=f"not decided after {most} processes: {says}", asked=most)
