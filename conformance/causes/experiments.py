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


@dataclasses.dataclass
class Experiments:
    """Runs cases once each, and judges them by all clauses that deviate on the target.

    Attributes:
        observe: runs a case on the target.
        clauses: that deviate there.
        seconds: when no more experiments are made, from the first on.
        derivatives: calls for derivatives whose errors are compared; see ``with_other_calls``.
        outcomes: by case id, what was found; cut: why there are no more; "" while there may be.
        answered: ids of the cases that were run, and ended no process.
        ordinary: ids of cases whose inputs and state have ordinary values.
        elsewhere: by clause, others that are not judged on its case, and deviate where one feature is ordinary and the clause
            is not judged.
        unknown: by clause, the features of its case of which no experiment says whether it needs them: there is no such case
            with the ordinary value, or the clause is not judged then.
        ablated: by clause, the most ordinary case on which it deviates, and the step.
    """

    observe: Callable[[Case], Observation]
    conventions: Conventions
    clauses: Sequence[str]
    seconds: float
    derivatives: Collection[Call] = ()
    clock: Callable[[], float] = time.monotonic
    outcomes: dict[str, Outcome] = dataclasses.field(default_factory=dict)
    answered: set[str] = dataclasses.field(default_factory=set)
    ordinary: set[str] = dataclasses.field(default_factory=set)
    elsewhere: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    unknown: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    ablated: dict[str, tuple[Case, int]] = dataclasses.field(default_factory=dict)
    cut: str = ""

    @property
    def on_ordinary_values(self) -> list[Outcome]:
        """Experiments on ordinary values: there an error shows, and a clause that is kept is not kept by chance."""
        return [outcome for case, outcome in self.outcomes.items() if case in self.ordinary]

    @property
    def on_other_values(self) -> list[Outcome]:
        """The other experiments."""
        return [outcome for case, outcome in self.outcomes.items() if case not in self.ordinary]

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
        if not self.cut and self.clock() > self._end:
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
            found = {c: j.ratio for c, j in judged.items() if j is not None}
            self.answered.add(case.id)
        self.outcomes[case.id] = found
        return found

    def conditions(self, clause: str, case: Case, step: int, domain: frozenset[str]) -> list[Condition]:
        """The features without which the clause, which deviates on the case, is kept.

        Each feature is made ordinary in turn, and stays so where the clause still deviates: what is left is what the
        deviation needs on a case that is otherwise as ordinary as can be. There, errors are compared on ordinary values.

        Where the time is up before all that becomes ordinary with a feature has been examined, nobody knows which of them is needed.

        Args:
            step: that deviates; domain: features that the clause speaks of: without them it is not judged.
        """
        needed: list[tuple[Feature, Condition]] = []
        ordinary = False
        unexamined = set[str]()
        for feature in FEATURES:
            value = "" if any(f.name == feature.name for f, _ in needed) else feature.value(case, step)
            beside = {f.name for f, _ in needed} & feature.changes
            change = feature.alone if feature.alone is not None and beside == {STATE.name} else feature.changed
            changed = change(case, step) if value else None
            if changed is None or changed.id == case.id:
                if value:
                    self.unknown.setdefault(clause, set()).add(feature.name)
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
                    self.unknown.setdefault(clause, set()).add(feature.name)
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
                self.unknown.setdefault(clause, set()).add(feature.name)
            if clause not in outcome:
                own = self.outcome(self.with_calls(case))
                self.elsewhere.setdefault(clause, set()).update(
                    c for c in outcome if deviates(outcome, c) and c not in own
                )
        self.ablated[clause] = case, step
        names = {feature.name for feature, _ in needed}
        said = [(f, c) for f, c in needed if not unexamined & f.changes]
        return [
            c for f, c in said if not names & f.changes or (f.alone is not None and names & f.changes == {STATE.name})
        ]

    def changing(self, clause: str, output: str, needed: Sequence[Condition]) -> frozenset[str]:
        """Of the features that the clause needs, those that change the layer's own results; see ``OwnResults``."""
        names, (case, step) = {c.feature for c in needed}, self.ablated[clause]
        found = set[str]()
        tier: Tier = "permissive" if clause in NARROWER else "lenient"
        if not {"values of x", "values of dy"} & names and not LAYOUTS & self.unknown.get(clause, set()):
            for feature in FEATURES:
                alone = feature.name in names & INVARIANT and not names & feature.changes
                if alone and not self.cut and self.clock() <= self._end:
                    ordinary = feature.changed(case, step)
                    if ordinary is not None and self._own.differ(case, ordinary, step, output, tier):
                        found.add(feature.name)
        return frozenset(found)

    def scatters(self, clause: str, output: str) -> bool:
        """Whether the result that the clause judges differs from run to run by as much as it is wrong."""
        if clause not in self.ablated or self.cut or self.clock() > self._end:
            return False
        return self._own.scatters(*self.ablated[clause], output)

    def misused(self, clause: str) -> str:
        """Whether the layer's own y, which is wrong on the clause's most ordinary case, shows a wrong use of gamma or of epsilon; "" if not."""
        if clause not in self.ablated or self.cut or self.clock() > self._end:
            return ""
        case, step = self.ablated[clause]
        if not self._own.scale_by_gamma(case, step):
            return "gamma"
        return "" if self._own.heed_epsilon(case, step) else "epsilon"

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
