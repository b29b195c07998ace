"""The causes of a target's findings: what cannot be told apart by experiment, and may follow from each other, is one cause."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bnspec.conformance.causes.experiments import Experiments, Outcome, deviates, with_other_calls
from bnspec.conformance.causes.features import KINDS_OF_VALUES, VALUES
from bnspec.conformance.causes.order import (
    AFTER_TRAINING,
    APART,
    BOTH_MODES,
    DERIVATIVES,
    FROZEN,
    GRADIENTS,
    IN_NETWORKS,
    MISREADING,
    NARROWER,
    PARAMETERS,
    SIZES_OF_SMALL_ERRORS,
    TRAINED,
    Quantity,
    basic_first,
    can_reach,
    compares,
    general_first,
    is_frozen,
    is_special,
    is_usual,
    is_weak,
    one_layout,
    own_features,
    place_of,
    quantity,
    related,
    setting,
    steps_of,
)
from bnspec.conformance.causes.record import cause_of, ordinary_first
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.reports.run.causes import Cause, Condition
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import FAILING

#: Ratios from here on say no more than that an error is large.
INFINITE = 1e9
#: An error of so many bounds is no rounding error: what of it is not seen elsewhere is not there. In float32, a relative error of
#: 10^-4 or more.
CLEAR = 1000.0


@dataclass(frozen=True)
class Deviation:
    """A finding, and what it needs on its smallest case.

    Attributes:
        elsewhere: clauses that deviate on such a case, and cannot be judged on it.
        unknown: features of the case that no experiment could make ordinary: it may need them or not.
        examined: whether all its experiments were made. Conditions that nobody looked for make no clause more basic.
    """

    finding: Finding
    conditions: tuple[Condition, ...] = ()
    elsewhere: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    examined: bool = True

    @property
    def general(self) -> tuple[int, ...]:
        """The key by which clauses that speak of all cases are ordered, the most basic first."""
        return not self.examined, *general_first(self.finding, self.conditions, len(self.unknown))

    @property
    def quantity(self) -> Quantity:
        """What is wrong; a layer that is still frozen infers in training, too."""
        found = quantity(self.finding)
        return FROZEN.get(found, found) if any(is_frozen(c) for c in self.conditions) else found

    @property
    def setting(self) -> frozenset[str]:
        """The features that it needs; see ``setting``.

        Statistics that training leaves are a state, as given ones are. Beside a feature of which any array may be misread, a
        parameter only shows in which array it is.
        """
        needed = setting(self.conditions)
        trained = any(c.feature == "history" and TRAINED & steps_of(c) for c in self.conditions)
        if trained and self.quantity in AFTER_TRAINING and needed - {"history", "state"}:
            needed = needed - {"history"} | {"state"}
        return needed - PARAMETERS if needed & MISREADING else needed

    def needs_as(self, other: Deviation) -> bool:
        """Whether both need the same features, as far as experiments can say."""
        mine, others = self.setting, other.setting
        kinds = [{c.value for c in d.conditions} & KINDS_OF_VALUES for d in (self, other)]
        if (mine | others) & MISREADING or (kinds[0] and kinds[0] == kinds[1]):
            mine, others = mine - PARAMETERS, others - PARAMETERS
        return mine - others <= one_layout(other.unknown) and others - mine <= one_layout(self.unknown)


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
    Returns: the most ordinary first: by level, then by the number of conditions. The experiments begin with the most basic
        clauses, so that a cut leaves the others.
    """
    failing = [f for f in findings if f.verdict in FAILING]
    experiments = Experiments(observe, conventions, [f.clause for f in failing], seconds)
    repeated = [f for f in failing if f.verdict == "deviates" and _repeats(f) and f.clause in cases]
    for finding in repeated:
        experiments.outcome(with_other_calls(cases[finding.clause]))
    conditions: dict[str, tuple[Condition, ...]] = {}
    unexamined = {f.clause for f in repeated}
    for finding in sorted(repeated, key=lambda f: basic_first(f, (), general_first(f, ()))):
        step = finding.evidence.step if finding.evidence is not None else 0
        domain = own_features(finding) | {"history"}
        found = experiments.conditions(finding.clause, cases[finding.clause], step, domain)
        conditions[finding.clause] = tuple(found)
        if not experiments.cut:
            unexamined.discard(finding.clause)
    deviations = [
        Deviation(
            f,
            conditions.get(f.clause, ()),
            frozenset(experiments.elsewhere.get(f.clause, ())),
            frozenset(experiments.unknown.get(f.clause, ())),
            f.clause not in unexamined,
        )
        for f in failing
    ]
    groups = grouped(deviations, experiments.on_ordinary_values, experiments.on_other_values)
    return sorted((_cause(g, experiments, unexamined) for g in groups), key=ordinary_first)


def _repeats(finding: Finding) -> bool:
    return finding.evidence is None or finding.evidence.relation != "repeats"


def grouped(
    deviations: Sequence[Deviation], ordinary: Sequence[Outcome], others: Sequence[Outcome] = ()
) -> list[list[Deviation]]:
    """The deviations in groups of one cause, each group with the most basic deviation first.

    Args:
        ordinary, others: the outcomes of experiments on ordinary and on other values.
    """
    general, special = _split(deviations)
    groups: list[list[Deviation]] = []
    for deviation in general:
        # no chain through clauses of one quantity: one that two faults break joins the more basic of them, and does not make
        # them one
        like = (g for g in groups if any(one_cause(d, deviation, ordinary, others) for d in _first_of_each_quantity(g)))
        _add(deviation, next(like, None), groups)
    groups = _of_equal_setting(groups)
    outcomes = (*ordinary, *others)
    broad = [(g, list(g)) for g in groups]
    for deviation in sorted(special, key=lambda d: d.finding.clause in NARROWER):
        if deviation.finding.clause in NARROWER:  # what two calls differ in may be within the bound of each
            broad = [(g, list(g)) for g in groups]
        shown = [o for o in outcomes if deviates(o, deviation.finding.clause)]
        explained = [g for g, first in broad if _explains(first, deviation, shown)]
        # what needs most is nearest: a cause that needs nothing explains anything
        nearest = max(explained, key=lambda g: len(g[0].setting), default=None)
        inseparable = (g for g in groups if any(one_cause(d, deviation, ordinary, others) for d in g))
        _add(deviation, nearest or next(inseparable, None), groups)
    return [most_basic_first(g) for g in _of_equal_setting(groups)]


def _first_of_each_quantity(group: Sequence[Deviation]) -> list[Deviation]:
    """The most basic deviation of the statistics, of y, of the gradients, ..."""
    return list({d.quantity: d for d in reversed(group)}.values())


def _split(deviations: Sequence[Deviation]) -> tuple[list[Deviation], list[Deviation]]:
    """The clauses that judge results of all cases, and those that speak of some cases or compare calls, most basic first."""
    ordered = sorted(deviations, key=lambda d: (place_of(d.finding), *d.general))
    special = [d for d in ordered if (is_special(d.finding) or compares(d.finding)) and place_of(d.finding) > 0]
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
    narrow = special.finding.clause in NARROWER
    sources = [d for d in group if _can_follow(d, special) and (narrow or _relation(d, special) != "siblings")]
    if not sources:
        return False
    needed = group[0].setting
    if special.finding.family in APART:
        return needed <= IN_NETWORKS and any(is_usual(d.finding) for d in group)
    together = [any(deviates(o, d.finding.clause) for d in sources) for o in shown]
    if narrow:
        return any(together) or _needs_what(special, needed)
    if together:
        return all(together)
    return _needs_what(special, needed)


def _needs_what(special: Deviation, needed: frozenset[str]) -> bool:
    """Whether it needs these features, and else only what its clause speaks of.

    No experiment says whether what needs its values needs their epsilon, too.
    """
    own, found = one_layout(own_features(special.finding)) | {"history"}, special.setting
    if special.finding.clause in NARROWER:
        own |= SIZES_OF_SMALL_ERRORS
    if any(c.feature in VALUES for c in special.conditions):
        needed -= {"epsilon"}
    return needed <= found | one_layout(special.unknown) and found <= needed | own


def _can_follow(a: Deviation, b: Deviation) -> bool:
    """Whether errors of two deviations can be errors of one quantity, or of one that follows from the other."""
    first, second = a.quantity, b.quantity
    alone = not any(c.feature == "history" for c in b.conditions)
    if first == "statistics" and second in AFTER_TRAINING and alone:
        return False  # a new layer was given its statistics
    if first == "effects" != second and alone and not can_reach(a.finding, b.finding):
        return False
    return bool(_relation(a, b) or _relation(b, a))


def _relation(a: Deviation, b: Deviation) -> Literal["follows", "siblings", "same", ""]:
    """How errors of the one can be errors of the other; clauses about masks judge all outputs, and show one."""
    first, second = a.quantity, b.quantity
    if a.finding.family == b.finding.family == "mask":
        derivatives = DERIVATIVES.get(first, 0), DERIVATIVES.get(second, 0)
        return "same" if derivatives[0] == derivatives[1] else "follows" if derivatives[0] < derivatives[1] else ""
    if first == second and first in GRADIENTS and _is_dx(a) != _is_dx(b):
        # dgamma and dbeta are not computed from dx, nor is dx from them: what they share is dy, and what they then need
        return "same" if _features(a) == _features(b) else "siblings"
    return related(first, second)


def _is_dx(deviation: Deviation) -> bool:
    return deviation.finding.evidence is not None and deviation.finding.evidence.output == "dx"


def _features(deviation: Deviation) -> frozenset[str]:
    return frozenset(c.feature for c in deviation.conditions)


def _of_equal_setting(groups: Sequence[list[Deviation]]) -> list[list[Deviation]]:
    """The groups, joined where their first deviations need the same features and one can follow from the other.

    Experiments separate them where one error is still within its bound and the other is not.
    """
    joined: list[list[Deviation]] = []
    for group in groups:
        like = next((g for g in joined if _equal_setting(g[0], group[0])), None)
        if like is None:
            joined.append(group)
        else:
            like.extend(group)
    return joined


def _equal_setting(a: Deviation, b: Deviation) -> bool:
    """Whether two deviations need the same, and errors of the one can be errors of the other.

    Where nothing is needed that is said of many errors: then they must be errors of one quantity, in one mode or both.
    """
    needed, features = a.setting & b.setting, {c.feature for c in a.conditions}
    if not a.needs_as(b):
        return _of_equal_variances(a, b) or _of_equal_variances(b, a)
    if a.finding.known or b.finding.known:
        return bool(set(a.finding.known) & set(b.finding.known))
    first, second = a.quantity, b.quantity
    if not needed and not (features and features == {c.feature for c in b.conditions}):
        return first != "endings" and (_relation(a, b) == "same" or frozenset({first, second}) in BOTH_MODES)
    return bool(related(first, second) or related(second, first))


def _of_equal_variances(training: Deviation, inference: Deviation) -> bool:
    """Whether one result needs its batch's statistics in training, and the given ones in inference, and else they need the same."""
    known = training.finding.known or inference.finding.known
    found = [{c.feature for c in d.conditions} for d in (training, inference)]
    return (
        not known
        and (training.quantity, inference.quantity) == ("y of training", "y of inference")
        and "values of x" in found[0]
        and setting(inference.conditions) == setting(training.conditions) | {"state"}
    )


def most_basic_first(group: Sequence[Deviation]) -> list[Deviation]:
    """The deviations of one cause in order.

    A clause about small variances, say, deviates wherever y is wrong. It names the cause only where a clause that speaks of
    all cases needs a small variance, too.
    """
    needed = needed_by(group)
    if needed is not None:
        unsaid = _unsaid(group)
        needed = tuple(c for c in needed if c.feature not in unsaid)
    return sorted(group, key=lambda d: basic_first(d.finding, d.conditions if needed is None else needed, d.general))


def _unsaid(group: Sequence[Deviation]) -> frozenset[str]:
    """Features whose own clauses say less than the clause of the one result that is wrong, or of its values."""
    general = [d for d in group if not is_special(d.finding)]
    found = {d.quantity for d in general}
    if all(q in DERIVATIVES for q in found):
        return frozenset({"rank", "epsilon", "gamma", "beta"})  # y is right for any rank, epsilon, gamma and beta
    of_values = any(c.feature in VALUES for d in general[:1] for c in d.conditions)
    return frozenset({"rank"}) if of_values or found == {"statistics"} else frozenset()


def needed_by(group: Sequence[Deviation]) -> tuple[Condition, ...] | None:
    """What a cause needs: what the most basic of its clauses that speak of all cases needs; None where it has none.

    What a comparison needs may be a feature of the other call.
    """
    general = [d for d in group if not is_special(d.finding)]
    return min(general, key=lambda d: (compares(d.finding), d.general)).conditions if general else None


def one_cause(a: Deviation, b: Deviation, ordinary: Sequence[Outcome], others: Sequence[Outcome] = ()) -> bool:
    """Whether two deviations have one cause: a known deviation that both are, or that no experiment separates them."""
    if a.finding.known or b.finding.known:
        return bool(set(a.finding.known) & set(b.finding.known))
    first, second = a.quantity, b.quantity
    if "endings" in (first, second):
        return first == second and _alike(a, b)
    if not _can_follow(a, b):
        return False
    forward = _relation(a, b)
    # on other values a clause may be kept by chance: they separate only what needs them
    relevant = [*ordinary, *others] if any(c.feature in VALUES for d in (a, b) for c in d.conditions) else ordinary
    both = any(deviates(o, a.finding.clause) and deviates(o, b.finding.clause) for o in (*ordinary, *others))
    only_b, only_a = _separated(a.finding.clause, b.finding.clause, relevant)
    # that a result is finite, say, is no sign that it is right
    without_a, without_b = only_b and not is_weak(a.finding), only_a and not is_weak(b.finding)
    if not both:
        elsewhere = a.finding.clause in b.elsewhere or b.finding.clause in a.elsewhere
        masked = a.finding.family == b.finding.family == "mask"
        return (masked and a.needs_as(b)) or (forward == "same" and (elsewhere or _alike(a, b)))
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


def _separated(a: str, b: str, outcomes: Sequence[Outcome]) -> tuple[bool, bool]:
    """Whether an experiment that judges both shows only the second; whether one shows only the first.

    Where both deviate, their ratios have a quotient. An experiment in which one is kept separates them only if that one would
    be well beyond its bound at this quotient: an error may be too small to be seen in one result, and not in the other.
    """
    judged = [(min(o[a], INFINITE), min(o[b], INFINITE)) for o in outcomes if a in o and b in o]
    quotients = sorted(second / first for first, second in judged if first > 1.0 and second > 1.0)
    quotient = quotients[len(quotients) // 2] if quotients else 1.0
    only_second = any(first <= 1.0 < second and second / quotient > CLEAR for first, second in judged)
    only_first = any(second <= 1.0 < first and first * quotient > CLEAR for first, second in judged)
    return only_second, only_first


def _cause(group: Sequence[Deviation], experiments: Experiments, unexamined: Collection[str]) -> Cause:
    """A group as a record; its first deviation names it. ``unexamined``: clauses whose experiments were cut."""
    first = group[0]
    needed = first.conditions or (needed_by(group) or () if is_special(first.finding) else ())
    cut = experiments.cut if first.finding.clause in unexamined else ""
    return cause_of([d.finding for d in group], needed, len(experiments.outcomes), cut)
