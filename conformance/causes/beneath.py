"""What lies beneath the smallest case of a clause: other cases on which it deviates, and which have not what that one needs.

A clause has one finding, and shows its smallest case. Of two faults that break it, one needs less and is shown, and the other is seen
only in cases to which the first does not reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.experiments import Outcome
from bnspec.conformance.causes.features import FEATURES
from bnspec.conformance.causes.layouts import LAYOUTS
from bnspec.conformance.causes.order import SHAPES, SIZES_OF_ERRORS, TRAINED, compares, is_special, is_weak, steps_of
from bnspec.conformance.causes.values import KINDS_OF_VALUES, NOT_FINITE
from bnspec.conformance.judge.tally import Judged
from bnspec.model.case import Case
from bnspec.reports.run.causes import Condition

#: Features that one fault may need in turn: where it picks another way by the size of an array, many sizes do.
IN_TURN = (SHAPES, LAYOUTS)
#: How many deviations of one clause are looked for beneath the first.
DEVIATIONS_AT_MOST = 2
#: Epsilons are one feature if their quotient is at most this: beyond it, another fault may need the other one.
LIKE_EPSILON = 2.0**10


def reaches(conditions: Iterable[Condition], case: Case, steps: Iterable[int] | None = None) -> bool:
    """Whether a case has all that a deviation needs, in one of these steps; by default in any.

    That a feature makes an error large enough to be seen says nothing of where it is: values and counts are not asked for.
    """
    chosen = list(range(len(case.steps)) if steps is None else steps)
    return all(_has(condition, case, chosen) for condition in conditions if _is_hard(condition))


def may_hide(deviation: Deviation) -> bool:
    """Whether another deviation of its clause is looked for: of one that judges a result whatever the case.

    What speaks of some cases, or compares calls, deviates where a result does; its conditions say what that needs.
    """
    finding = deviation.finding
    general = not is_special(finding) and not compares(finding) and not is_weak(finding)
    return general and not deviation.scattered and is_limited(deviation.conditions)


def needs_others(deviation: Deviation, first: Deviation) -> bool:
    """Whether a deviation needs other features than the first one of its clause, or other calls before it.

    One that needs no more than values is none: its error has another size there. Nor is one that needs more than the first, of
    which it has other values.
    """
    if not is_limited(deviation.conditions) or deviation.needs_as(first):
        return False
    there = [{c.feature: c.value for c in d.conditions if _is_hard(c)} for d in (first, deviation)]
    more = there[0].keys() <= there[1].keys()
    return not more or there[0].get("history") != there[1].get("history")


def is_limited(conditions: Iterable[Condition]) -> bool:
    """Whether there may be cases that a deviation does not reach."""
    return any(map(_is_hard, conditions))


def _is_hard(condition: Condition) -> bool:
    """Whether a condition says more than that an error is large enough to be seen."""
    return condition.feature not in SIZES_OF_ERRORS or condition.value in KINDS_OF_VALUES


def _has(condition: Condition, case: Case, steps: Sequence[int]) -> bool:
    """Whether the case has a feature, as a condition needs it."""
    names = next((names for names in IN_TURN if condition.feature in names), frozenset({condition.feature}))
    values = [v for f in FEATURES if f.name in names for s in steps if (v := f.value(case, s))]
    if condition.value in KINDS_OF_VALUES:
        return any(v in (condition.value, NOT_FINITE) for v in values)
    if condition.feature == "epsilon":
        return _like(float(condition.value), case.config.epsilon)
    if condition.feature in ("history", "state"):
        needed = steps_of(condition) if condition.feature == "history" else TRAINED
        histories = [steps_of(Condition("history", v, "")) for s in steps if (v := _history(case, s))]
        if condition.feature == "history":
            return any(needed <= there for there in histories) or (needed <= TRAINED and _has_state(case, steps))
        return bool(values) or any(needed & there for there in histories)
    return bool(values)


def _like(a: float, b: float) -> bool:
    """Whether two epsilons are of like size."""
    return a == b or (min(a, b) > 0.0 and max(a, b) <= LIKE_EPSILON * min(a, b))


def _history(case: Case, step: int) -> str:
    return next(f.value(case, step) for f in FEATURES if f.name == "history")


def _has_state(case: Case, steps: Sequence[int]) -> bool:
    """Whether the layer is given another state than an ordinary one, as training would leave it."""
    return any(f.value(case, s) for f in FEATURES if f.name == "state" for s in steps)


def unreached(failing: Iterable[Judged], found: Sequence[Deviation]) -> Iterator[Judged]:
    """The cases on which a clause deviates, and to which none of its deviations reaches; the smallest first."""
    for judged in sorted(failing, key=lambda j: (j.size, j.order)):
        evidence = judged.judgement.evidence
        if evidence is not None and not any(reaches(d.conditions, judged.case, [evidence.step]) for d in found):
            yield judged


def attributed(results: Iterable[tuple[Case, Outcome]], deviations: Sequence[Deviation]) -> list[Outcome]:
    """The outcomes of experiments by the key of a deviation.

    Where a clause has several deviations, an experiment shows those that reach its case; where the clause is kept, none is there.
    """
    several: dict[str, list[Deviation]] = {}
    for deviation in deviations:
        several.setdefault(deviation.finding.clause, []).append(deviation)
    several = {clause: those for clause, those in several.items() if len(those) > 1}
    return [_attributed(case, outcome, several) for case, outcome in results]


def _attributed(case: Case, outcome: Outcome, several: Mapping[str, Sequence[Deviation]]) -> Outcome:
    made = {clause: ratio for clause, ratio in outcome.items() if clause not in several}
    for clause, deviations in several.items():
        if clause in outcome:
            ratio = outcome[clause]
            made.update({d.key: ratio for d in deviations if ratio <= 1.0 or reaches(d.conditions, case)})
    return made
