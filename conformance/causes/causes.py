"""The causes of a target's findings: what cannot be told apart by experiment, and may follow from each other, is one cause."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.experiments import Experiments
from bnspec.conformance.causes.grouping import grouped
from bnspec.conformance.causes.naming import said_of
from bnspec.conformance.causes.order import FUNCTIONS, basic_first, compares, general_first, is_special, own_features
from bnspec.conformance.causes.other_calls import DERIVATIVES
from bnspec.conformance.causes.record import cause_of, ordinary_first
from bnspec.model.call import call_named
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.reports.run.causes import Cause, Condition
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import FAILING


def causes_of(
    findings: Sequence[Finding],
    cases: Mapping[str, Case],
    observe: Callable[[Case], Observation],
    conventions: Conventions,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Cause]:
    """The causes behind the findings of one target; every finding that fails belongs to exactly one.

    Args:
        cases: by clause, the smallest case that deviates.
        observe: runs a case on the target.
        seconds: time for experiments, by the clock.
    Returns: the most ordinary first: by level, then by the number of conditions. The experiments begin with the most basic
        clauses, so that a cut leaves the others.
    """
    failing = [f for f in findings if f.verdict in FAILING]
    made = [call_named(f.evidence.call) for f in failing if f.evidence is not None]
    derivatives = {call for call in made if call.kind in DERIVATIVES}
    experiments = Experiments(observe, conventions, [f.clause for f in failing], seconds, derivatives, clock)
    repeated = [f for f in failing if f.verdict == "deviates" and _repeats(f) and f.clause in cases]
    for finding in repeated:
        experiments.outcome(experiments.with_calls(cases[finding.clause]))
    conditions: dict[str, tuple[Condition, ...]] = {}
    unexamined = {f.clause for f in repeated}
    for finding in sorted(repeated, key=lambda f: basic_first(f, (), general_first(f, ()))):
        step = finding.evidence.step if finding.evidence is not None else 0
        domain = own_features(finding) | {"history"}
        found = experiments.conditions(finding.clause, cases[finding.clause], step, domain)
        conditions[finding.clause] = tuple(found)
        if not experiments.cut:
            unexamined.discard(finding.clause)
    changing = {
        f.clause: experiments.changing(f.clause, f.evidence.output, conditions[f.clause])
        for f in repeated
        if (is_special(f) or compares(f)) and f.evidence is not None and f.evidence.output is not None
    }
    scattered = _scattered(failing, repeated, experiments)
    deviations = [
        Deviation(
            f,
            conditions.get(f.clause, ()),
            frozenset(experiments.elsewhere.get(f.clause, ())),
            frozenset(experiments.unknown.get(f.clause, ())),
            f.clause not in unexamined,
            changing.get(f.clause, frozenset()),
            f.clause in scattered,
        )
        for f in failing
    ]
    misused = {d.finding.clause: experiments.misused(d.finding.clause) for d in deviations if _is_y_anywhere(d)}
    groups = grouped(deviations, experiments.on_ordinary_values, experiments.on_other_values, misused)
    return sorted((_cause(g, experiments, unexamined) for g in groups), key=ordinary_first)


def _scattered(failing: Sequence[Finding], repeated: Sequence[Finding], experiments: Experiments) -> set[str]:
    """The clauses whose results differ from run to run by as much as they are wrong, where a call is known to be no function."""
    if not any(f.clause in FUNCTIONS for f in failing):
        return set()
    random = {f.clause for f in failing if f.verdict == "deviates" and not _repeats(f)}
    for finding in repeated:
        output = finding.evidence.output if finding.evidence is not None else None
        if output is not None and finding.clause not in FUNCTIONS and experiments.scatters(finding.clause, output):
            random.add(finding.clause)
    return random


def _is_y_anywhere(deviation: Deviation) -> bool:
    """Whether y itself is wrong, on ordinary cases, too."""
    evidence = deviation.finding.evidence
    y = evidence is not None and (evidence.output, evidence.relation) == ("y", "within_bound")
    return y and not is_special(deviation.finding) and not deviation.conditions and not deviation.unknown


def _repeats(finding: Finding) -> bool:
    return finding.evidence is None or finding.evidence.relation != "repeats"


def _cause(group: Sequence[Deviation], experiments: Experiments, unexamined: Collection[str]) -> Cause:
    """A group as a record; its first deviation names it. ``unexamined``: clauses whose experiments were cut."""
    first = group[0]
    cut = experiments.cut if first.finding.clause in unexamined else ""
    return cause_of([d.finding for d in group], said_of(group), len(experiments.outcomes), cut)
