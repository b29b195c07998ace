"""The causes of a target's findings: what cannot be told apart by experiment, and may follow from each other, is one cause."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from bnspec.conformance.cases.shrinking import shrink
from bnspec.conformance.causes.beneath import (
    DEVIATIONS_AT_MOST,
    attributed,
    may_hide,
    needs_others,
    reaches,
    unreached,
)
from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.experiments import Experiments, Needed
from bnspec.conformance.causes.grouping import grouped
from bnspec.conformance.causes.naming import said_of
from bnspec.conformance.causes.order import FUNCTIONS, basic_first, compares, general_first, is_special, own_features
from bnspec.conformance.causes.other_calls import DERIVATIVES
from bnspec.conformance.causes.record import cause_of, ordinary_first
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.collector import KnownLookup, nothing_known
from bnspec.conformance.judge.finding import json_ratio, placed
from bnspec.conformance.judge.one_clause import OneClause
from bnspec.conformance.judge.tally import Judged
from bnspec.model.call import call_named
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import FAILING

#: Of the time for experiments, what shrinking a case beneath another may take.
SHRINK_SHARE = 1 / 40


@dataclasses.dataclass(frozen=True)
class Examined:
    """A target whose findings are looked into.

    Attributes:
        observe: runs a case on the target.
        save: saves a case; returns its path.
        known: the known deviations of the target.
        clock: in seconds, of the experiments.
    """

    observe: Callable[[Case], Observation]
    conventions: Conventions
    save: Callable[[Case], str]
    known: KnownLookup = nothing_known
    clock: Callable[[], float] = time.monotonic


def causes_of(
    target: Examined,
    findings: Sequence[Finding],
    cases: Mapping[str, Case],
    seconds: float,
    failing: Mapping[str, Sequence[Judged]] | None = None,
) -> list[Cause]:
    """The causes behind the findings of one target; every finding that fails belongs to one, or to several that its cases show.

    Args:
        cases: by clause, the smallest case that deviates.
        seconds: time for experiments, by the clock.
        failing: by clause, the cases of the run on which it deviates, but those that a known deviation covers.
    Returns: the most ordinary first: by level, then by the number of conditions. The experiments begin with the most basic
        clauses, so that a cut leaves the others.
    """
    return _Search(target, [f for f in findings if f.verdict in FAILING], seconds).causes(cases, failing or {})


class _Search:
    """Looks into the findings of a target that fail."""

    def __init__(self, target: Examined, findings: Sequence[Finding], seconds: float) -> None:
        self.target, self.findings, self.seconds = target, findings, seconds
        self.known = {f.clause for f in findings if f.known}
        made = [call_named(f.evidence.call) for f in findings if f.evidence is not None]
        self.experiments = Experiments(
            target.observe,
            target.conventions,
            [f.clause for f in findings],
            seconds,
            {call for call in made if call.kind in DERIVATIVES},
            target.clock,
            self._covered,
        )

    def _covered(self, clause: str, case: Case) -> bool:
        """Whether a known deviation covers a clause on a case, of a finding that is no known one."""
        return clause not in self.known and self.target.known(clause, case) is not None

    def causes(self, cases: Mapping[str, Case], failing: Mapping[str, Sequence[Judged]]) -> list[Cause]:
        """See ``causes_of``."""
        repeated = [f for f in self.findings if f.verdict == "deviates" and _repeats(f) and f.clause in cases]
        for finding in repeated:
            self.experiments.outcome(self.experiments.with_calls(cases[finding.clause]))
        needed: dict[str, Needed] = {}
        examined = set[str]()
        for finding in sorted(repeated, key=lambda f: basic_first(f, (), general_first(f, ()))):
            needed[finding.clause] = self._needed(finding, cases[finding.clause])
            if not self.experiments.cut:
                examined.add(finding.clause)
        functions = any(f.clause in FUNCTIONS for f in self.findings)
        deviations = [
            self._deviation(f, needed.get(f.clause), f.clause in examined or f not in repeated, functions)
            for f in self.findings
        ]
        for deviation in [
            d for d in deviations if d.finding.clause in examined and may_hide(d) and not d.finding.known
        ]:
            deviations += self._beneath(deviation, failing.get(deviation.finding.clause, ()))
        run = self.experiments.cases, self.experiments.outcomes, self.experiments.ordinary
        ordinary, others = (
            [(run[0][i], o) for i, o in run[1].items() if (i in run[2]) == is_] for is_ in (True, False)
        )
        groups = grouped(deviations, attributed(ordinary, deviations), attributed(others, deviations))
        return sorted(map(self._cause, groups), key=ordinary_first)

    def _needed(self, finding: Finding, case: Case) -> Needed:
        """What the finding's clause needs, which deviates on the case."""
        step = finding.evidence.step if finding.evidence is not None else 0
        return self.experiments.needed(finding.clause, case, step, own_features(finding) | {"history"})

    def _deviation(
        self, finding: Finding, needed: Needed | None, examined: bool, functions: bool, number: int = 0
    ) -> Deviation:
        """A finding with what it needs. ``functions``: whether a call is known to be no function."""
        output = finding.evidence.output if finding.evidence is not None else None
        if needed is None:
            random = functions and finding.verdict == "deviates" and not _repeats(finding)
            return Deviation(finding, examined=examined, scattered=random)
        special = (is_special(finding) or compares(finding)) and output is not None
        changing = self.experiments.changing(needed, output) if special and output is not None else frozenset[str]()
        may_scatter = functions and output is not None and finding.clause not in FUNCTIONS
        return Deviation(
            finding,
            needed.conditions,
            number,
            needed.elsewhere,
            needed.unknown,
            examined,
            changing,
            self.experiments.misused(needed) if _is_y_anywhere(finding, needed) else "",
            may_scatter and output is not None and self.experiments.scatters(needed, output),
        )

    def _beneath(self, first: Deviation, failing: Sequence[Judged]) -> list[Deviation]:
        """The deviations of the same clause on cases to which the first does not reach, and that need other features."""
        looked_at, found = [first], list[Deviation]()
        clause = first.finding.clause
        outcomes = self.experiments.outcomes
        tried = [case for i, case in self.experiments.cases.items() if outcomes[i].get(clause, 0.0) > 1.0]
        while may_hide(looked_at[-1]) and len(looked_at) <= DEVIATIONS_AT_MOST:
            cases = unreached(failing, tried, looked_at)
            shown = self._smallest(clause, [c.case if isinstance(c, Judged) else c for c in cases], looked_at)
            if shown is None:
                break
            case, judgement = shown
            largest = max((c.judgement.ratio for c in cases if isinstance(c, Judged)), default=judgement.ratio)
            finding = msgspec.structs.replace(
                first.finding,
                ratio=json_ratio(largest),
                evidence=judgement.evidence,
                message=placed(judgement, case).message,
            )
            needed = self._needed(finding, case)
            if self.experiments.cut:
                break
            made = self._deviation(finding, needed, True, False, len(looked_at))
            looked_at.append(made)
            if needs_others(made, first):
                saved = msgspec.structs.replace(finding, shrunk=self.target.save(case))
                found.append(dataclasses.replace(made, finding=saved))
        return found

    def _smallest(
        self, clause: str, cases: Sequence[Case], found: Sequence[Deviation]
    ) -> tuple[Case, Judgement] | None:
        """The smallest of the cases on which the clause deviates and none of the deviations reaches, shrunk; and its judgement."""
        one = OneClause(clause, self.target.conventions, self.target.known)

        def deviates(case: Case) -> bool:
            if not one.deviates(case, self.target.observe):
                return False
            evidence = one.judgements[case.id].evidence
            return evidence is not None and not any(reaches(d, case, [evidence.step]) for d in found)

        for case in cases:
            if self.experiments.over:
                return None
            if deviates(case):
                shrunk = shrink(case, deviates, self.seconds * SHRINK_SHARE, self.target.clock)
                return shrunk, one.judgements[shrunk.id]
        return None

    def _cause(self, group: Sequence[Deviation]) -> Cause:
        """A group as a record; its first deviation names it."""
        cut = "" if group[0].examined else self.experiments.cut
        return cause_of([d.finding for d in group], said_of(group), len(self.experiments.outcomes), cut)


def _is_y_anywhere(finding: Finding, needed: Needed) -> bool:
    """Whether y itself is wrong, on ordinary cases, too."""
    evidence = finding.evidence
    y = evidence is not None and (evidence.output, evidence.relation) == ("y", "within_bound")
    return y and not is_special(finding) and not needed.conditions and not needed.unknown


def _repeats(finding: Finding) -> bool:
    return finding.evidence is None or finding.evidence.relation != "repeats"
