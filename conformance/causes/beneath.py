"""What lies beneath the smallest case of a clause: other cases on which it deviates, and which have not what that one needs.

A clause has one finding, and shows its smallest case. Of two faults that break it, one needs less and is shown, and the other is seen
only in cases to which the first does not reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bnspec.conformance.causes.calls import HISTORY, INITIAL_VALUES, MALFORMED
from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.experiments import Outcome
from bnspec.conformance.causes.features import FEATURES
from bnspec.conformance.causes.layouts import LAYOUTS
from bnspec.conformance.causes.order import (
    SHAPES,
    SIZES_OF_ERRORS,
    SIZES_OF_SMALL_ERRORS,
    TINY_EPSILON,
    TRAINED,
    compares,
    epsilon_of,
    is_special,
    is_weak,
    steps_of,
)
from bnspec.conformance.causes.parameters import STATE
from bnspec.conformance.causes.values import KINDS_OF_VALUES, NOT_FINITE, VALUES
from bnspec.conformance.judge.tally import Judged
from bnspec.model.call import CALLS
from bnspec.model.case import Case
from bnspec.reports.run.causes import Condition

#: Features that one fault may need in turn: where it picks another way by the size of an array, many sizes do.
IN_TURN = (SHAPES, LAYOUTS)
#: How many deviations of one clause are looked for beneath the first.
DEVIATIONS_AT_MOST = 2
#: Epsilons are one feature if their quotient is at most this: beyond it, another fault may need the other one.
LIKE_EPSILON = 2.0**10
#: The ratio of a deviation that is not there, on a case on which another one of its clause is.
NOT_THERE = 1.0


def reaches(deviation: Deviation, case: Case, steps: Iterable[int] | None = None) -> bool:
    """Whether a case has all that a deviation needs, in one of these steps; by default in any.

    That a feature gives an error its size says nothing of where it is: values and counts are not asked for.
    """
    chosen = list(range(len(case.steps)) if steps is None else steps)
    features = _features(deviation)
    return all(_has(c, case, chosen) for c in deviation.conditions if c.feature in features and _is_hard(c))


def unreached(failing: Iterable[Judged], tried: Iterable[Case], found: Sequence[Deviation]) -> list[Judged | Case]:
    """The cases on which a clause deviates, and to which none of its deviations reaches; the smallest first.

    Args:
        failing: those of the run; tried: those of experiments, of which nobody knows in which call it deviates.
    """
    judged = [j for j in failing if (e := j.judgement.evidence) is not None and not _reached(found, j.case, e.step)]
    cases = [c for c in tried if any(not _reached(found, c, step) for step in range(len(c.steps)))]
    return sorted([*judged, *cases], key=lambda one: one.size if isinstance(one, Judged) else one.elements)


def _reached(found: Iterable[Deviation], case: Case, step: int) -> bool:
    return any(reaches(d, case, [step]) for d in found)


def may_hide(deviation: Deviation) -> bool:
    """Whether another deviation of its clause is looked for: of one that judges a result whatever the case.

    What speaks of some cases, or compares calls, deviates where a result does; its conditions say what that needs.
    """
    finding = deviation.finding
    general = not is_special(finding) and not compares(finding) and not is_weak(finding)
    return general and not deviation.scattered and bool(_features(deviation))


def needs_others(deviation: Deviation, first: Deviation) -> bool:
    """Whether a deviation needs other features than the first one of its clause, or other operations before it.

    Of two that need the same and one of them more, nobody can say that they are two. Nor of an error of roundings beside a large one,
    which may have its size on other cases.
    """
    if deviation.near != first.near:
        return False
    if NOT_FINITE in first.kinds - deviation.kinds:
        return True
    mine, others = (_operations(d.conditions) for d in (deviation, first))
    if "reset" in mine | others and INITIAL_VALUES.name in _features(deviation) | _features(first):
        return False  # a reset leaves the values that a new layer has
    if not (mine <= others or others <= mine):
        return True
    mine, others = (_features(d) for d in (deviation, first))
    return not (mine <= others or others <= mine or deviation.needs_as(first))


def _features(deviation: Deviation) -> frozenset[str]:
    """The features that a deviation needs, but those that only give its error a size."""
    sized = deviation.near or any(c.feature in VALUES and c.value not in KINDS_OF_VALUES for c in deviation.conditions)
    features = frozenset(c.feature for c in deviation.conditions if _is_hard(c))
    return features - SIZES_OF_SMALL_ERRORS if sized else features


def _operations(conditions: Iterable[Condition]) -> frozenset[str]:
    """The operations between calls that are needed, and whether a malformed call is; which other call was before says little."""
    steps = frozenset[str]().union(*(steps_of(c) for c in conditions if c.feature == "history"))
    return frozenset(s for s in steps if s == MALFORMED or (s in CALLS and CALLS[s].between))


def _is_hard(condition: Condition) -> bool:
    """Whether a condition says more than that an error is large enough to be seen."""
    return condition.feature not in SIZES_OF_ERRORS or condition.value in KINDS_OF_VALUES


def _has(condition: Condition, case: Case, steps: Sequence[int]) -> bool:
    """Whether the case has a feature, as a condition needs it."""
    names = next((names for names in IN_TURN if condition.feature in names), frozenset({condition.feature}))
    values = [v for f in FEATURES if f.name in names for s in steps if (v := f.value(case, s))]
    if condition.value in KINDS_OF_VALUES:  # NaN may come to a result from any array
        return condition.value in values or any(f.value(case, s) == NOT_FINITE for f in FEATURES for s in steps)
    if condition.feature == "epsilon":
        return _like(epsilon_of(condition), case.config.epsilon)
    if condition.feature == "decay" and any(step.call.name == "set_decay" for step in case.steps):
        return True  # nobody knows to which
    histories = [steps_of(Condition("history", v, "")) for s in steps if (v := HISTORY.value(case, s))]
    if condition.feature == "history":
        needed = _operations([condition])
        begins = needed <= {"reset"} and any(INITIAL_VALUES.value(case, s) for s in steps)
        return (
            any(needed <= there for there in histories)
            or begins
            or (not needed and any(STATE.value(case, s) for s in steps))
        )
    if condition.feature == INITIAL_VALUES.name:
        return bool(values) or any("reset" in there for there in histories)
    if condition.feature == STATE.name:
        return bool(values) or any(TRAINED & there for there in histories)
    return bool(values)


def _like(a: float, b: float) -> bool:
    """Whether two epsilons are of like size; all tiny ones are."""
    return max(a, b) <= max(TINY_EPSILON, LIKE_EPSILON * min(a, b))


def attributed(results: Iterable[tuple[Case, Outcome]], deviations: Sequence[Deviation]) -> list[Outcome]:
    """The outcomes of experiments by the key of a deviation.

    Where a clause deviates on a case to which none of its deviations reaches, it shows another error, and says nothing of them. Where
    it has several, an experiment shows those that reach its case, and that the others are not there.
    """
    hiding: dict[str, list[Deviation]] = {}
    for deviation in deviations:
        if deviation.number or may_hide(deviation):
            hiding.setdefault(deviation.finding.clause, []).append(deviation)
    return [_attributed(case, outcome, hiding) for case, outcome in results]


def _attributed(case: Case, outcome: Outcome, hiding: Mapping[str, Sequence[Deviation]]) -> Outcome:
    made = {clause: ratio for clause, ratio in outcome.items() if clause not in hiding}
    for clause, deviations in hiding.items():
        ratio = outcome.get(clause)
        if ratio is None:
            continue
        if ratio <= 1.0:
            made.update({d.key: ratio for d in deviations})
            continue
        there = {d.key for d in deviations if reaches(d, case)}
        if there:
            made.update({d.key: ratio if d.key in there else NOT_THERE for d in deviations})
    return made
