"""The causes of a target's findings: what cannot be told apart by experiment, and may follow from each other, is one cause."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bnspec.conformance.causes.experiments import Experiments, Outcome, with_other_calls
from bnspec.conformance.causes.order import basic_first, general_first, is_special, particular, quantity, related
from bnspec.conformance.judge.tally import FAILING
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.reports.run.causes import Cause, Condition
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import LEVELS


@dataclass(frozen=True)
class Deviation:
    """A finding, and what it needs on its smallest case.

    Attributes:
        steps: calls of that case; elsewhere: clauses that deviate on such a case, and cannot be judged on it.
    """

    finding: Finding
    conditions: tuple[Condition, ...] = ()
    steps: int = 1
    elsewhere: frozenset[str] = frozenset()

    @property
    def general(self) -> tuple[int, ...]:
        """The key by which clauses that speak of all cases are ordered, the most basic first."""
        return general_first(self.finding, self.conditions, self.steps)


def causes_of(
    findings: Sequence[Finding],
    cases: Mapping[str, Case],
    observe: Callable[[Case], Observation],
    conventions: Conventions,
    seconds: float,
) -> list[Cause]:
    """The causes behind the findings of one target; every finding that fails belongs to exactly one.

    Args:
        cases: by clause, the smallest case that deviates.
        observe: runs a case on the target.
        seconds: time for experiments.
    Returns: the most ordinary first: by level, then by the number of conditions.
    """
    failing = [f for f in findings if f.verdict in FAILING]
    experiments = Experiments(observe, conventions, [f.clause for f in failing], seconds)
    repeated = [f for f in failing if f.verdict == "deviates" and _repeats(f) and f.clause in cases]
    for finding in repeated:
        experiments.outcome(with_other_calls(cases[finding.clause]))
    conditions: dict[str, tuple[Condition, ...]] = {}
    for finding in repeated:
        step = finding.evidence.step if finding.evidence is not None else 0
        found = experiments.conditions(finding.clause, cases[finding.clause], step)
        conditions[finding.clause] = tuple(found)
    deviations = [
        Deviation(
            f,
            conditions.get(f.clause, ()),
            len(cases[f.clause].steps) if f.clause in cases else 1,
            frozenset(experiments.elsewhere.get(f.clause, ())),
        )
        for f in failing
    ]
    groups = grouped(deviations, list(experiments.outcomes.values()))
    return sorted((_cause(g, experiments) for g in groups), key=_ordinary_first)


def _repeats(finding: Finding) -> bool:
    return finding.evidence is None or finding.evidence.relation != "repeats"


def grouped(deviations: Sequence[Deviation], outcomes: Sequence[Outcome]) -> list[list[Deviation]]:
    """The deviations in groups of one cause, each group with the most basic deviation first."""
    leader = list(range(len(deviations)))

    def root(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    for i, j in itertools.combinations(range(len(deviations)), 2):
        if root(i) != root(j) and one_cause(deviations[i], deviations[j], outcomes):
            leader[max(root(i), root(j))] = min(root(i), root(j))
    groups: dict[int, list[Deviation]] = {}
    for i, deviation in enumerate(deviations):
        groups.setdefault(root(i), []).append(deviation)
    return [most_basic_first(g) for g in groups.values()]


def most_basic_first(group: Sequence[Deviation]) -> list[Deviation]:
    """The deviations of one cause in order.

    A clause about small variances, say, deviates wherever y is wrong. It names the cause only where a clause that speaks of
    all cases needs a small variance, too.
    """
    needed = needed_by(group)
    return sorted(group, key=lambda d: basic_first(d.finding, d.conditions if needed is None else needed, d.general))


def needed_by(group: Sequence[Deviation]) -> tuple[Condition, ...] | None:
    """What a cause needs: what the most basic of its clauses that speak of all cases needs; None where it has none."""
    general = [d for d in group if not is_special(d.finding)]
    return min(general, key=lambda d: d.general).conditions if general else None


def one_cause(a: Deviation, b: Deviation, outcomes: Iterable[Outcome]) -> bool:
    """Whether two deviations have one cause: a known deviation that both are, or that no experiment separates them."""
    if a.finding.known or b.finding.known:
        return bool(set(a.finding.known) & set(b.finding.known))
    first, second = quantity(a.finding), quantity(b.finding)
    if "endings" in (first, second):
        return first == second and _alike(a, b)
    forward, backward = related(first, second), related(second, first)
    if not (forward or backward):
        return False
    both, without_a, without_b = _separated(a.finding.clause, b.finding.clause, outcomes)
    if not both:
        elsewhere = a.finding.clause in b.elsewhere or b.finding.clause in a.elsewhere
        return forward == "same" and (elsewhere or _alike(a, b))
    if forward == "same":
        return not (without_a and without_b)
    if forward == "siblings":
        return not (without_a or without_b)
    return not without_a if forward == "follows" else not without_b


def _alike(a: Deviation, b: Deviation) -> bool:
    """Whether two deviations have the same conditions and break the same relation."""
    if a.finding.evidence is None or b.finding.evidence is None:
        return False
    same = a.finding.evidence.relation == b.finding.evidence.relation
    return same and {c.feature for c in a.conditions} == {c.feature for c in b.conditions}


def _separated(a: str, b: str, outcomes: Iterable[Outcome]) -> tuple[int, int, int]:
    """How many experiments show both, only the second, only the first; of those that judge both."""
    both = without_a = without_b = 0
    for outcome in outcomes:
        if a in outcome and b in outcome:
            both += outcome[a] and outcome[b]
            without_a += outcome[b] and not outcome[a]
            without_b += outcome[a] and not outcome[b]
    return both, without_a, without_b


def _cause(group: Sequence[Deviation], experiments: Experiments) -> Cause:
    """A group as a record; its first deviation names it."""
    first = group[0]
    f = first.finding
    needed = first.conditions or (needed_by(group) or () if is_special(f) else ())
    return Cause(
        f.clause,
        f.family,
        f.level,
        f.backend,
        f.device,
        also=tuple(d.finding.clause for d in group[1:]),
        conditions=needed,
        known=tuple(dict.fromkeys(k for d in group for k in d.finding.known)),
        message=f.message,
        case=f.shrunk or f.case,
        experiments=len(experiments.outcomes),
        cut=experiments.cut,
    )


def _ordinary_first(cause: Cause) -> tuple[int, int, str]:
    """Levels first; then what happens on the most ordinary cases."""
    return LEVELS.index(cause.level), particular(cause.conditions), cause.clause
