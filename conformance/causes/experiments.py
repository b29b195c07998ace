"""Experiments on the smallest cases of a target: which clauses deviate when one feature is ordinary."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from bnspec.conformance.cases.shrinking import with_steps
from bnspec.conformance.causes.calls import HISTORY
from bnspec.conformance.causes.feature import Feature
from bnspec.conformance.causes.features import FEATURES
from bnspec.conformance.causes.layouts import LAYOUTS
from bnspec.conformance.causes.order import NARROWER
from bnspec.conformance.causes.other_calls import with_other_calls
from bnspec.conformance.causes.own_results import INVARIANT, OwnResults
from bnspec.conformance.causes.parameters import STATE
from bnspec.conformance.causes.values import VALUES_OF_X
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.model.call import Call
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.vocabulary import Tier
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.causes import Condition

#: By clause its ratio, error / bound: beyond 1 it deviates; clauses that were not judged are left out.
Outcome = Mapping[str, float]
#: After so many experiments that ended a process or took too long, no more are made.
ENDINGS_AT_MOST = 3


@dataclasses.dataclass(frozen=True)
class Needed:
    """What a clause needs that deviates on a case, as far as experiments say.

    Attributes:
        conditions: the features without which the clause is kept.
        unknown: the features of the case of which no experiment says whether it needs them: there is no such case with the ordinary
            value, or the clause is not judged then.
        elsewhere: clauses that are not judged on its case, and deviate where one feature is ordinary and the clause is not judged.
        case, step: the most ordinary case on which it deviates, and where.
    """

    clause: str
    conditions: tuple[Condition, ...]
    unknown: frozenset[str]
    elsewhere: frozenset[str]
    case: Case
    step: int


@dataclasses.dataclass
class Experiments:
    """Runs cases once each, and judges them by all clauses that deviate on the target.

    Attributes:
        observe: runs a case on the target.
        clauses: that deviate there.
        seconds: when no more experiments are made, from the first on.
        derivatives: calls for derivatives whose errors are compared; see ``with_other_calls``.
        covered: whether a known deviation covers a clause on a case: then the experiment says nothing of the clause.
        outcomes: by case id, what was found; cut: why there are no more; "" while there may be.
        cases: by id, those that were run.
        answered: ids of the cases that were run, and ended no process.
        ordinary: ids of cases whose inputs and state have ordinary values.
    """

    observe: Callable[[Case], Observation]
    conventions: Conventions
    clauses: Sequence[str]
    seconds: float
    derivatives: Collection[Call] = ()
    clock: Callable[[], float] = time.monotonic
    covered: Callable[[str, Case], bool] = lambda *_: False
    outcomes: dict[str, Outcome] = dataclasses.field(default_factory=dict)
    cases: dict[str, Case] = dataclasses.field(default_factory=dict)
    answered: set[str] = dataclasses.field(default_factory=set)
    ordinary: set[str] = dataclasses.field(default_factory=set)
    cut: str = ""

    @property
    def over(self) -> bool:
        """Whether no more experiments are made."""
        return bool(self.cut) or self.clock() > self._end

    def __post_init__(self) -> None:
        self._checks = checks_for(self.clauses)
        self._own = OwnResults(self.observe, self.conventions)
        self._end = self.clock() + self.seconds
        self._endings = 0

    def with_calls(self, case: Case) -> Case:
        """The case, also called in the other ways."""
        return with_other_calls(case, self.derivatives)

    def outcome(self, case: Case) -> Outcome:
        """The ratios of the clauses that the case asks; nothing, once the time is up."""
        if case.id in self.outcomes:
            return self.outcomes[case.id]
        if not self.cut and self.over:
            self.cut = f"stopped after {self.seconds:g} s"
        if self.cut:
            return {}
        observation = self.observe(case)
        found: dict[str, float] = {}
        if observation.status in ("crashed", "timeout"):
            self._endings += 1
            if self._endings >= ENDINGS_AT_MOST:
                self.cut = f"stopped after {self._endings} experiments without an answer"
        else:
            judged = judge(case, observation, self.conventions, Oracle(case), self._checks)
            found = {c: j.ratio for c, j in judged.items() if j is not None and (j.holds or not self.covered(c, case))}
            self.answered.add(case.id)
        self.outcomes[case.id], self.cases[case.id] = found, case
        return found

    def needed(self, clause: str, case: Case, step: int, domain: frozenset[str]) -> Needed:
        """What the clause needs, which deviates on the case: the features without which it is kept.

        Each feature is made ordinary in turn, and stays so where the clause still deviates: what is left is what the
        deviation needs on a case that is otherwise as ordinary as can be. There, errors are compared on ordinary values.

        Where the time is up before all that becomes ordinary with a feature has been examined, nobody knows which of them is needed.

        Args:
            step: that deviates; domain: features that the clause speaks of: without them it is not judged.
        """
        needed: list[tuple[Feature, Condition]] = []
        ordinary = False
        unexamined, unknown, elsewhere = set[str](), set[str](), set[str]()
        for feature in FEATURES:
            value = "" if any(f.name == feature.name for f, _ in needed) else feature.value(case, step)
            beside = {f.name for f, _ in needed} & feature.changes
            change = feature.alone if feature.alone is not None and beside == {STATE.name} else feature.changed
            changed = change(case, step) if value else None
            if changed is None or changed.id == case.id:
                if value:
                    unknown.add(feature.name)
                continue
            called = self.with_calls(changed)
            outcome = self.outcome(called)
            if called.id not in self.outcomes:
                unexamined.add(feature.name)
            on_ordinary_inputs = ordinary or feature is VALUES_OF_X
            if on_ordinary_inputs and not STATE.value(changed, step):
                self.ordinary.add(called.id)
            if deviates(outcome, clause):
                if feature.name in LAYOUTS and feature.value(changed, step):
                    unknown.add(feature.name)
                ordinary = on_ordinary_inputs
                step = step if len(changed.steps) == len(case.steps) else 0
                case = changed
            elif called.id in self.answered and (clause in outcome or {feature.name, value} & domain):
                if feature is HISTORY:
                    case, step = self._shortest(clause, case, step)
                    value = feature.value(case, step)
                if feature.control is None or beside:
                    needed.append((feature, Condition(feature.name, value, feature.ordinary)))
                else:
                    needed.append(self._controlled(feature, clause, case, step))
            else:
                unknown.add(feature.name)
            if clause not in outcome:
                own = self.outcome(self.with_calls(case))
                elsewhere.update(c for c in outcome if deviates(outcome, c) and c not in own)
        names = {feature.name for feature, _ in needed}
        conditions = tuple(
            c
            for f, c in needed
            if not unexamined & f.changes
            and (not names & f.changes or (f.alone is not None and names & f.changes == {STATE.name}))
        )
        return Needed(clause, conditions, frozenset(unknown), frozenset(elsewhere), case, step)

    def changing(self, needed: Needed, output: str) -> frozenset[str]:
        """Of the features that a clause needs, those that change the layer's own results; see ``OwnResults``."""
        names = {c.feature for c in needed.conditions}
        found = set[str]()
        tier: Tier = "permissive" if needed.clause in NARROWER else "lenient"
        if not {"values of x", "values of dy"} & names and not LAYOUTS & needed.unknown:
            for feature in FEATURES:
                alone = feature.name in names & INVARIANT and not names & feature.changes
                if alone and not self.over:
                    ordinary = feature.changed(needed.case, needed.step)
                    if ordinary is not None and self._own.differ(needed.case, ordinary, needed.step, output, tier):
                        found.add(feature.name)
        return frozenset(found)

    def scatters(self, needed: Needed, output: str) -> bool:
        """Whether the result that a clause judges differs from run to run by as much as it is wrong."""
        return not self.over and self._own.scatters(needed.case, needed.step, output)

    def misused(self, needed: Needed) -> str:
        """Whether the layer's own y, which is wrong on the clause's most ordinary case, shows a wrong use of gamma or of epsilon; "" if not."""
        if self.over:
            return ""
        if not self._own.scale_by_gamma(needed.case, needed.step):
            return "gamma"
        return "" if self._own.heed_epsilon(needed.case, needed.step) else "epsilon"

    def _shortest(self, clause: str, case: Case, step: int) -> tuple[Case, int]:
        """The case without the calls that the deviation does not need: those after the step, then those before it, the last ones first."""
        ended = next(with_steps(case, case.steps[: step + 1]), None)
        if ended is None or not deviates(self.outcome(self.with_calls(ended)), clause):
            return case, step
        case = ended
        for k in reversed(range(case.built_at(step) + 1, step)):
            shorter = next(with_steps(case, (*case.steps[:k], *case.steps[k + 1 :])), None)
            if shorter is not None and deviates(self.outcome(self.with_calls(shorter)), clause):
                case, step = shorter, step - 1
        return case, step

    def _controlled(self, feature: Feature, clause: str, case: Case, step: int) -> tuple[Feature, Condition]:
        """What the deviation needs: the feature, or the values of x, which change with it."""
        other = feature.control(case, step) if feature.control else None
        if other is not None and other.id != case.id and VALUES_OF_X.value(case, step):
            outcome = self.outcome(with_other_calls(other))
            if outcome.get(clause, math.inf) <= 1.0:
                feature = VALUES_OF_X
        return feature, Condition(feature.name, feature.value(case, step), feature.ordinary)


def deviates(outcome: Outcome, clause: str) -> bool:
    """Whether the clause was judged and is broken."""
    return outcome.get(clause, 0.0) > 1.0
