"""Deviations in groups of one cause."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.experiments import Outcome, deviates
from bnspec.conformance.causes.naming import most_basic_first, needed_by, unsaid
from bnspec.conformance.causes.order import (
    APART,
    EXACT,
    FUNCTIONS,
    IN_NETWORKS,
    LAST,
    MISREADING,
    NARROWER,
    OF_NETWORKS,
    SIZES_OF_SMALL_ERRORS,
    compares,
    in_its_own_words,
    is_special,
    is_usual,
    needs_tiny_epsilon,
    one_layout,
    own_features,
    place_of,
    setting,
    steps_of,
)
from bnspec.conformance.causes.quantities import BOTH_MODES, related
from bnspec.conformance.causes.separation import can_follow, is_dx, one_cause, operates, relation
from bnspec.conformance.causes.values import KINDS_OF_VALUES, NOT_FINITE, VALUES


def grouped(
    deviations: Sequence[Deviation],
    ordinary: Sequence[Outcome],
    others: Sequence[Outcome] = (),
) -> list[list[Deviation]]:
    """The deviations in groups of one cause, each group with the most basic deviation first.

    Args:
        ordinary, others: the outcomes of experiments on ordinary and on other values, by the key of a deviation.
    """
    noise = _of_no_function(deviations)
    general, special = _split([d for d in deviations if not any(d in g for g in noise)])
    groups: list[list[Deviation]] = []
    for deviation in general:
        # no chain through clauses of one quantity, but those that need the same: one that two faults break joins the more basic
        # of them, and does not make them one
        like = (g for g in groups if any(one_cause(d, deviation, ordinary, others) for d in _to_compare(g, deviation)))
        _add(deviation, next(like, None), groups)
    groups = [*noise, *_of_equal_setting(groups)]
    _add_special(special, groups, ordinary, others)
    return [most_basic_first(g) for g in _of_equal_setting(groups)]


def _add_special(
    special: Sequence[Deviation],
    groups: list[list[Deviation]],
    ordinary: Sequence[Outcome],
    others: Sequence[Outcome],
) -> None:
    """Add the clauses that speak of some cases, or compare calls, to the groups that explain them; else they begin new ones."""
    outcomes = (*ordinary, *others)
    broad = _broad(groups)
    for deviation in sorted(special, key=lambda d: (d.finding.clause not in FUNCTIONS, d.finding.clause in NARROWER)):
        if deviation.finding.clause in NARROWER:  # what two calls differ in may be within the bound of each
            broad = _broad(groups)
        explaining = _explaining(deviation, broad, [o for o in outcomes if deviates(o, deviation.key)])
        # what needs most is nearest: a cause that needs nothing explains anything
        nearest = max(explaining, key=lambda g: len(g[0].setting), default=None)
        inseparable = (
            g
            for g, _ in _broad(groups)
            if _needs_the_change(g, deviation)
            and any(relation(d, deviation) and one_cause(d, deviation, ordinary, others) for d in g)
        )
        _add(deviation, nearest or next(inseparable, None), groups)
        if deviation.finding.clause in FUNCTIONS:
            broad = _broad(groups)


def _of_no_function(deviations: Sequence[Deviation]) -> list[list[Deviation]]:
    """What is wrong since a call is no function, whatever its clause speaks of; none, where each call is one."""
    new = [d for d in deviations if not d.finding.known]
    functions = [d for d in new if d.finding.clause in FUNCTIONS]
    scattered = [d for d in new if d.scattered and d not in functions]  # one that was not seen again is both
    return [[*scattered, *functions]] if functions and scattered else []


def _broad(groups: Sequence[list[Deviation]]) -> list[tuple[list[Deviation], list[Deviation]]]:
    """The groups that may explain others, with what they hold now: a choice that is only recorded explains nothing."""
    return [(g, list(g)) for g in groups if any(d.finding.level != "MAY" for d in g)]


def _explaining(
    special: Deviation, broad: Sequence[tuple[list[Deviation], list[Deviation]]], shown: Sequence[Outcome]
) -> list[list[Deviation]]:
    """The groups that explain a clause about some cases, in the experiments in which it deviates.

    Where one explains it, or all together, it says most of those that need what it speaks of; else of all that show it in one of the
    experiments, where together they do in each.

    Args:
        broad: the groups, each with those of its deviations by which it explains others.
    """
    explaining = [g for g, first in broad if _needs_the_change(first, special) and _explains(first, special, shown)]
    if explaining or all(any(deviates(o, d.key) for _, first in broad for d in first) for o in shown):
        return (
            [g for g, first in broad if _speaks_of(special, first, shown)]
            or explaining
            or _showing(special, broad, shown)
        )
    return []


def _showing(
    special: Deviation, broad: Sequence[tuple[list[Deviation], list[Deviation]]], shown: Sequence[Outcome]
) -> list[list[Deviation]]:
    """The groups that may explain a clause about some cases, and deviate in one of the experiments in which it does."""
    found = []
    for group, first in broad:
        sources = [d for d in first if can_follow(d, special) and relation(d, special) in ("same", "follows")]
        new = not any(d.finding.known for d in (special, *group))
        if new and _needs_the_change(first, special) and any(deviates(o, d.key) for o in shown for d in sources):
            found.append(group)
    return found


def _to_compare(group: Sequence[Deviation], other: Deviation) -> list[Deviation]:
    """The most basic deviation of the statistics, of y, of dx, of the other gradients, ...; and those that need what the other one needs."""
    needed = {c.feature for c in other.conditions}
    alike = [d for d in group if needed and {c.feature for c in d.conditions} == needed]
    return [*{(d.quantity, is_dx(d)): d for d in reversed(group)}.values(), *alike]


def _split(deviations: Sequence[Deviation]) -> tuple[list[Deviation], list[Deviation]]:
    """The clauses that judge results of all cases, and those that speak of some cases or compare calls, most basic first."""
    ordered = sorted(deviations, key=lambda d: (place_of(d.finding), *d.general))
    special = [
        d
        for d in ordered
        if (is_special(d.finding) or compares(d.finding) or _is_impossible_value(d)) and place_of(d.finding) > 0
    ]
    return [d for d in ordered if d not in special], special


def _add(deviation: Deviation, group: list[Deviation] | None, groups: list[list[Deviation]]) -> None:
    """Add to a group, or begin a new one."""
    if group is None:
        groups.append([deviation])
    else:
        group.append(deviation)


def _explains(group: Sequence[Deviation], special: Deviation, shown: Sequence[Outcome]) -> bool:
    """Whether a clause that speaks of some cases shows the error of a cause.

    It never deviates where no clause of the cause does; or, where there is no experiment, it needs what the cause needs, and
    else only what it speaks of. Such a clause judges many outputs: its evidence shows one of them.

    Args:
        shown: the experiments in which it deviates.
    """
    if any(d.finding.known for d in (special, *group)) or special.quantity == "endings":
        return False
    if _is_no_function(group, special):
        return True
    narrow = special.finding.clause in NARROWER
    ways = ("same", "follows", "siblings") if narrow else ("same", "follows")
    sources = [d for d in group if can_follow(d, special) and relation(d, special) in ways]
    if not sources:
        return False
    if special.finding.family in APART:
        return any(is_usual(d.finding) for d in group) and _is_in_networks(group[0], special)
    # a channel that is not finite is judged by no other clause: what hides it there is an error of finite values if both need the same
    of_one_output = _is_impossible_value(special) and any(_of_one_output(d, special) for d in sources)
    if of_one_output or (_hides(special) and group[0].setting & special.setting):
        shown = [o for o in shown if any(d.key in o for d in sources)]  # where none is judged, none is kept
    together = [any(deviates(o, d.key) for d in sources) for o in shown]
    if narrow:
        return any(together) or _needs_what(special, group[0])
    if together:
        return all(together)
    return _needs_what(special, group[0])


def _is_in_networks(first: Deviation, special: Deviation) -> bool:
    """Whether a network shows what the first deviation of a cause needs, in the calls that it makes: finite values, and one channel where it has one."""
    features = {c.feature for c in first.conditions}
    called = frozenset[str]().union(*(steps_of(c) for c in first.conditions if c.feature == "history"))
    there = "one channel" not in features - special.unknown and first.kinds <= special.kinds
    return there and called <= OF_NETWORKS and first.setting <= IN_NETWORKS


def _speaks_of(special: Deviation, group: Sequence[Deviation], shown: Sequence[Outcome]) -> bool:
    """Whether a clause that speaks of some cases speaks of what a cause needs, and deviates where that one does.

    Args:
        shown: the experiments in which it deviates.
    """
    needed = needed_by(group)
    if not needed or special.finding.clause in NARROWER or special.finding.family in LAST:
        return False
    if special.quantity == "endings" or any(d.finding.known for d in (special, *group)):
        return False
    said = tuple(c for c in needed if c.feature not in unsaid(group))
    sources = [d.key for d in group if can_follow(d, special) or is_special(special.finding)]
    together = any(deviates(o, key) for o in shown for key in sources)
    return together and in_its_own_words(special.finding, said)


def _needs_the_change(group: Sequence[Deviation], special: Deviation) -> bool:
    """Whether a cause needs the features that change the layer's own results, of those that the clause needs.

    What a clause needs that it explains beside others is no need of its own. Where a call writes into other arrays, any feature may
    change what it finds there. In rank 2 the extents are other ones.
    """
    writes = any(d.quantity == "effects" for d in group)
    of_own = [d for d in group if not is_special(d.finding) and not compares(d.finding)] or group
    needed = {f for d in of_own for f in d.setting | one_layout(d.unknown)}
    of_extents = {"rank"} if needed & {"extents", "equal extents"} else set()
    return writes or one_layout(special.changing) <= needed | of_extents


def _is_no_function(group: Sequence[Deviation], special: Deviation) -> bool:
    """Whether the cause is a result that changes from call to call, and the clause an exact law of that result."""
    evidence = special.finding.evidence
    if evidence is None or evidence.relation not in EXACT:
        return False
    return any(d.finding.clause in FUNCTIONS and relation(d, special) == "same" for d in group)


def _is_impossible_value(special: Deviation) -> bool:
    """Whether it is a value that no result has, where that is all that is said of it: a negative variance, NaN of finite values."""
    evidence = special.finding.evidence
    return evidence is not None and evidence.relation in ("finite", "not_negative", "bounded")


def _of_one_output(a: Deviation, b: Deviation) -> bool:
    """Whether two deviations are errors of one output, the mean and the variance as one."""
    outputs = [d.finding.evidence.output if d.finding.evidence is not None else None for d in (a, b)]
    return a.quantity == b.quantity and (outputs[0] == outputs[1] or a.quantity == "statistics")


def _needs_what(special: Deviation, first: Deviation) -> bool:
    """Whether it needs what the first deviation of a cause needs, kinds of values included, and else only what its clause speaks of.

    No experiment says whether what needs its values needs their epsilon, too; and NaN is NaN with any beta, which may be all in which a
    finite y shows the error.
    """
    own, needed, found = one_layout(own_features(special.finding)) | {"history"}, first.setting, special.setting
    if not first.kinds <= special.kinds:
        return False
    if special.finding.clause in NARROWER:
        own |= SIZES_OF_SMALL_ERRORS
    if _is_impossible_value(special):
        own |= {c.feature for c in special.conditions if c.value in KINDS_OF_VALUES}
    if any(c.feature in VALUES for c in special.conditions):
        needed -= {"epsilon"}
    if _hides(special):
        needed -= {"beta"}
    may_need = one_layout({c.feature for c in special.conditions} | special.unknown)
    return needed <= found | may_need and found <= needed | own


def _of_equal_setting(groups: Sequence[list[Deviation]]) -> list[list[Deviation]]:
    """The groups, joined where their first deviations need the same features and one can follow from the other.

    Experiments separate them where one error is still within its bound and the other is not.
    """
    joined: list[list[Deviation]] = []
    for group in groups:
        like = next((g for g in joined if _equal_setting(g[0], group[0]) or _of_one_operation(g, group)), None)
        if like is None:
            joined.append(group)
        else:
            like.extend(group)
    return joined


def _of_one_operation(a: Sequence[Deviation], b: Sequence[Deviation]) -> bool:
    """Whether a clause about an operation between calls shows one cause, and the other needs that operation."""
    return any(operates(d, b[0]) for d in a) or any(operates(d, a[0]) for d in b)


def _equal_setting(a: Deviation, b: Deviation) -> bool:
    """Whether two deviations need the same, and errors of the one can be errors of the other.

    Where nothing is needed that is said of many errors: then they must be errors of one quantity, in one mode or both.
    """
    needed, features = a.setting & b.setting, {c.feature for c in a.conditions}
    if a.scattered != b.scattered:
        return False
    if not a.needs_as(b):
        return _of_equal_variances(a, b) or _of_equal_variances(b, a)
    if a.finding.known or b.finding.known:
        return bool(set(a.finding.known) & set(b.finding.known))
    first, second = a.quantity, b.quantity
    if (a.setting | b.setting) & MISREADING:
        return "endings" not in (first, second)  # an array is misread, whatever is computed from it
    if _hides(a) and _hides(b):
        return True
    if not needed and not (features and features == {c.feature for c in b.conditions}):
        of_one = relation(a, b) == "same" or frozenset({first, second}) in BOTH_MODES
        alike = (NOT_FINITE in a.kinds) == (NOT_FINITE in b.kinds)
        return first != "endings" and alike and of_one
    return bool(related(first, second) or related(second, first))


def _hides(deviation: Deviation) -> bool:
    """Whether it is that NaN or infinity does not reach a result, whatever array has it."""
    evidence = deviation.finding.evidence
    return (
        evidence is not None
        and evidence.relation == "not_finite"
        and NOT_FINITE in {c.value for c in deviation.conditions}
    )


def _of_equal_variances(training: Deviation, inference: Deviation) -> bool:
    """Whether one result needs certain statistics of its batch in training, the given ones in inference, and else the same.

    What needs an epsilon of 0 or a tiny one in inference needs a variance beside which that one shows in training.
    """
    known = training.finding.known or inference.finding.known
    if known or (training.quantity, inference.quantity) != ("y of training", "y of inference"):
        return False
    if not {"values of x", "count"} & {c.feature for c in training.conditions}:
        return False
    mine, others = setting(training.conditions), setting(inference.conditions)
    tiny = needs_tiny_epsilon(inference.conditions)
    return others == mine | {"state"} or (tiny and others - {"state", "epsilon"} == mine - {"epsilon"})
