"""What separates two deviations: whether errors of the one can be errors of the other, and no experiment shows only one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bnspec.conformance.causes.arrays import COTANGENTS
from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.experiments import Outcome, deviates
from bnspec.conformance.causes.order import (
    CLEAR,
    MEASURED,
    MISREADING,
    OPERATIONS,
    SHAPES,
    SIZES_OF_ERRORS,
    SIZES_OF_SMALL_ERRORS,
    can_reach,
    is_frozen,
    is_special,
    is_weak,
    one_layout,
    steps_of,
)
from bnspec.conformance.causes.own_results import INVARIANT
from bnspec.conformance.causes.parameters import STATE
from bnspec.conformance.causes.quantities import DERIVATIVES, GRADIENTS, OF_INFERENCE, OF_TRAINING, related
from bnspec.conformance.causes.values import NOT_FINITE, VALUES
from bnspec.model.call import call_named

#: Ratios from here on say no more than that an error is large.
INFINITE = 1e9


def one_cause(a: Deviation, b: Deviation, ordinary: Sequence[Outcome], others: Sequence[Outcome] = ()) -> bool:
    """Whether two deviations have one cause: a known deviation that both are, or that no experiment separates them.

    Of one clause they have not: the one is on a case that has not what the other needs.
    """
    if a.finding.clause == b.finding.clause:
        return False
    if a.finding.known or b.finding.known:
        return bool(set(a.finding.known) & set(b.finding.known))
    first, second = a.quantity, b.quantity
    if "endings" in (first, second):
        return _alike(a, b) if first == second else _needs_one_history(a, b)
    if operates(a, b) or operates(b, a):
        return True
    if not can_follow(a, b) or _needs_nan_alone(a, b) or _needs_nan_alone(b, a):
        return False
    forward = relation(a, b)
    # on other values, or beside another state, a clause may be kept by chance: they separate only what needs them
    of_values = any(c.feature in (*VALUES, STATE.name) for d in (a, b) for c in d.conditions)
    judged = (*ordinary, *others) if of_values else ordinary
    relevant = [o for o in judged if not _kept_by_chance(o, a, b) and not _kept_by_chance(o, b, a)]
    both = any(deviates(o, a.key) and deviates(o, b.key) for o in (*ordinary, *others))
    only_b, only_a = _separated(a.key, b.key, relevant)
    # that a result is finite, say, is no sign that it is right
    without_a, without_b = only_b and not is_weak(a.finding), only_a and not is_weak(b.finding)
    if not both:
        elsewhere = a.finding.clause in b.elsewhere or b.finding.clause in a.elsewhere
        masked = a.finding.family == b.finding.family == "mask"
        alike = _alike(a, b) or _need_nan_alike(a, b)
        return (masked and a.needs_as(b)) or (forward == "same" and (elsewhere or alike))
    if forward == "same":
        return not (without_a and without_b)
    if forward == "siblings":
        return not (without_a or without_b)
    return not without_a if forward == "follows" else not without_b


def _needs_nan_alone(a: Deviation, b: Deviation) -> bool:
    """Whether the one needs NaN, and the other is seen without any, where it needs something of the arrays that the one does not need."""
    return NOT_FINITE in a.kinds - b.kinds and bool((b.setting - a.setting - a.possible) & MISREADING)


def _kept_by_chance(outcome: Outcome, deviation: Deviation, other: Deviation) -> bool:
    """Whether a result that is measured has no error at all there, as y has none of constants or of one value and a statistic none with decay 1.

    What needs a layout, say, which the other does not need, is not kept by chance where the other is seen without it.
    """
    evidence = deviation.finding.evidence
    measured = evidence is not None and evidence.relation in MEASURED
    needs_more = (deviation.setting - other.setting - other.possible) & one_layout(INVARIANT)
    return measured and not needs_more and outcome.get(deviation.key) == 0.0


def operates(operation: Deviation, other: Deviation) -> bool:
    """Whether the one is that a call between others does something else, and the other needs that call, and of settings those that it may lose."""
    call = OPERATIONS.get(operation.finding.clause)
    needed = {c.feature for c in other.conditions} - SIZES_OF_ERRORS - SIZES_OF_SMALL_ERRORS
    return needed == {"history"} and any(call in steps_of(c) for c in other.conditions if c.feature == "history")


def _separated(a: str, b: str, outcomes: Sequence[Outcome]) -> tuple[bool, bool]:
    """Whether an experiment that judges both shows only the second; whether one shows only the first.

    Where both deviate, their ratios have a quotient. An experiment in which one is kept separates them only if that one would
    be well beyond its bound at this quotient: an error may be too small to be seen in one result, and not in the other. The
    quotient is of errors of some size, where there are any: NaN of a root of a rounding error has none.
    """
    judged = [(min(o[a], INFINITE), min(o[b], INFINITE)) for o in outcomes if a in o and b in o]
    both = [(first, second) for first, second in judged if first > 1.0 and second > 1.0]
    sized = [pair for pair in both if max(pair) < INFINITE] or both
    quotients = sorted(second / first for first, second in sized)
    quotient = quotients[len(quotients) // 2] if quotients else 1.0
    only_second = any(first <= 1.0 < second and second / quotient > CLEAR for first, second in judged)
    only_first = any(second <= 1.0 < first and first * quotient > CLEAR for first, second in judged)
    return only_second, only_first


def _alike(a: Deviation, b: Deviation) -> bool:
    """Whether two deviations have the same conditions and break the same relation."""
    if a.finding.evidence is None or b.finding.evidence is None:
        return False
    same = a.finding.evidence.relation == b.finding.evidence.relation
    return same and {c.feature for c in a.conditions} == {c.feature for c in b.conditions}


def _need_nan_alike(a: Deviation, b: Deviation) -> bool:
    """Whether both need NaN, in x or in the state that calls before leave, and else the same."""
    of_state = {STATE.name, "history"}
    return NOT_FINITE in a.kinds & b.kinds and a.setting - of_state == b.setting - of_state


def _needs_one_history(a: Deviation, b: Deviation) -> bool:
    """Whether two deviations of one family need nothing but the same calls before: what is left of them changes what is refused, too."""
    conditions = {*a.conditions, *b.conditions}
    one = len(conditions) == 1 and len(a.conditions) == len(b.conditions)
    return one and a.finding.family == b.finding.family and all(c.feature == "history" for c in conditions)


def can_follow(a: Deviation, b: Deviation) -> bool:
    """Whether errors of two deviations can be errors of one quantity, or of one that follows from the other."""
    first, second = a.quantity, b.quantity
    alone = not any(c.feature == "history" for c in b.conditions)
    if first == "statistics" and second in OF_INFERENCE and alone:
        return False  # a new layer was given its statistics
    if first == "effects" != second and alone and not can_reach(a.finding, b.finding):
        return False
    if (
        first == "effects"
        and _writes_into_cotangents(a)
        and second in ("statistics", "y of training", "y of inference")
    ):
        return False
    if first == "effects" and not is_special(b.finding) and (b.setting - a.setting - a.possible) & SHAPES:
        return False  # a call that writes where it must not does so whatever the shape
    return bool(relation(a, b) or relation(b, a))


def relation(a: Deviation, b: Deviation) -> Literal["follows", "siblings", "same", ""]:
    """How errors of the one can be errors of the other; clauses about masks judge all outputs, and show one."""
    first, second = a.quantity, b.quantity
    if a.finding.family == b.finding.family == "mask":
        derivatives = DERIVATIVES.get(first, 0), DERIVATIVES.get(second, 0)
        return "same" if derivatives[0] == derivatives[1] else "follows" if derivatives[0] < derivatives[1] else ""
    if a.masked and not b.masked:
        return ""  # beside a masked call the batch is called without its padding
    if first == second and _part(a) != _part(b):
        # dgamma and dbeta are not computed from dx, nor dx from them, and derivatives along a direction from no gradient: what they
        # share is what they then need
        return "same" if _features(a) == _features(b) else "siblings"
    if {first, second} <= {"statistics", "y of training"} and _is_between(a) != _is_between(b):
        return ""  # an operation between calls leaves what it leaves, whatever a step computes
    if second == "second order" and first in (*OF_TRAINING, *OF_INFERENCE):
        same_mode = (first in OF_TRAINING) == _trains(b)
        return related(first, second) if same_mode and (first not in GRADIENTS or is_dx(a)) else ""
    return related(first, second)


def is_dx(deviation: Deviation) -> bool:
    """Whether it is dx that is wrong."""
    return deviation.finding.evidence is not None and deviation.finding.evidence.output == "dx"


def _part(deviation: Deviation) -> bool:
    """Of derivatives, which ones: dx or the other gradients; those along a direction or by what dx depends on."""
    evidence = deviation.finding.evidence
    if deviation.quantity == "second order":
        return evidence is not None and call_named(evidence.call).kind == "tangent"
    return deviation.quantity in GRADIENTS and is_dx(deviation)


def _writes_into_cotangents(effect: Deviation) -> bool:
    """Whether a call writes into nothing but cotangents: no y and no statistic depends on them."""
    evidence = effect.finding.evidence
    return evidence is not None and bool(evidence.names) and all(n.startswith(COTANGENTS) for n in evidence.names)


def _is_between(deviation: Deviation) -> bool:
    """Whether it shows in an operation between calls."""
    evidence = deviation.finding.evidence
    return evidence is not None and call_named(evidence.call).between


def _trains(deviation: Deviation) -> bool:
    """Whether it shows in training of a layer that is not frozen."""
    evidence = deviation.finding.evidence
    frozen = any(is_frozen(c) for c in deviation.conditions)
    return evidence is not None and call_named(evidence.call).mode == "training" and not frozen


def _features(deviation: Deviation) -> frozenset[str]:
    return frozenset(c.feature for c in deviation.conditions)
