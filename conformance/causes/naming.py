"""The clause that names a cause: the most basic one, in words that are true of what the cause needs."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.conformance.causes.calls import MALFORMED
from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.order import (
    FUNCTIONS,
    MISREADING,
    PARAMETERS,
    SIZES_OF_ERRORS,
    basic_first,
    compares,
    is_special,
    needs_tiny_epsilon,
    one_layout,
    own_features,
    setting,
    steps_of,
)
from bnspec.conformance.causes.quantities import DERIVATIVES
from bnspec.conformance.causes.values import KINDS_OF_VALUES, VALUES
from bnspec.reports.run.causes import Condition


def most_basic_first(group: Sequence[Deviation]) -> list[Deviation]:
    """The deviations of one cause in order.

    A clause about small variances, say, deviates wherever y is wrong. It names the cause only where a clause that speaks of
    all cases needs a small variance, too.
    """
    if any(d.scattered for d in group):  # nobody can say what it needs
        return sorted(group, key=lambda d: (d.finding.clause not in FUNCTIONS, *basic_first(d.finding, (), d.general)))
    needed = needed_by(group)
    if needed is not None:
        without = unsaid(group)
        if setting(needed) & MISREADING:
            without |= PARAMETERS  # they only show where an array is misread
        if any(c.value in KINDS_OF_VALUES for c in needed):
            without |= {"gamma", "beta"}  # they only show what comes of such values
        if all(d.near for d in group if not is_special(d.finding)):
            without |= PARAMETERS | SIZES_OF_ERRORS  # the error is of another size without them
        needed = tuple(c for c in needed if c.feature not in without)
        wrong = next((d.misused for d in group if d.misused), "")
        if wrong and not needed:
            needed = (Condition(wrong, "any", "none"),)  # it needs no certain one, and is wrong in what that does
    well_formed = any(_needs_no_refusal(d) for d in group if not _speaks_of_refusals(d))
    return sorted(
        group,
        key=lambda d: (
            _speaks_of_refusals(d) and well_formed,
            *basic_first(d.finding, d.conditions if needed is None else needed, (_may_need_more(d, group), *d.general)),
        ),
    )


def _speaks_of_refusals(deviation: Deviation) -> bool:
    """Whether the clause is about calls that must be refused."""
    return deviation.finding.family == "errors"


def _needs_no_refusal(deviation: Deviation) -> bool:
    """Whether a well-formed call shows the deviation, with none before it that must be refused."""
    histories = [c for c in deviation.conditions if c.feature == "history"]
    judged = (
        deviation.finding.level != "MAY" and not compares(deviation.finding) and not deviation.unknown & {"history"}
    )
    return judged and deviation.examined and not any(MALFORMED in steps_of(c) for c in histories)


def _may_need_more(deviation: Deviation, group: Sequence[Deviation]) -> bool:
    """Whether no experiment says that it does not need what another deviation of the cause needs."""
    return bool(one_layout(deviation.unknown) & {f for d in group for f in d.setting})


def unsaid(group: Sequence[Deviation]) -> frozenset[str]:
    """Features whose own clauses say less than the clause of the one result that is wrong, or of its values."""
    general = [d for d in group if not is_special(d.finding)]
    found = {d.quantity for d in general}
    if all(q in DERIVATIVES for q in found):
        return frozenset({"rank", "epsilon", "gamma", "beta"})  # y is right for any rank, epsilon, gamma and beta
    of_values = any(c.feature in VALUES for d in general[:1] for c in d.conditions)
    if of_values and "statistics" not in found:
        return frozenset({"rank", "extents", "many channels"})  # of x that is misread the statistics are wrong, too
    return frozenset({"rank"}) if of_values or found == {"statistics"} else frozenset()


def needed_by(group: Sequence[Deviation]) -> tuple[Condition, ...] | None:
    """What a cause needs: what the most basic of its clauses that speak of all cases needs; None where it has none.

    What a comparison needs may be a feature of the other call. Where inference needs a tiny epsilon, the values that training needs are those beside which it
    shows.
    """
    general = [d for d in group if not is_special(d.finding)]
    if not general:
        return None
    ordered = sorted(general, key=lambda d: (compares(d.finding), _may_need_more(d, group), d.general))
    needed = ordered[0].conditions
    tiny = [d for d in ordered if d.quantity == "y of inference" and needs_tiny_epsilon(d.conditions)]
    return tiny[0].conditions if tiny and any(c.feature in VALUES for c in needed) else needed


def said_of(group: Sequence[Deviation]) -> tuple[Condition, ...]:
    """What a cause is said to need: what its first deviation needs.

    Where that one's clause speaks only of some features, and no experiment is without them, it is what the others need; and of NaN, say, only
    what they need, too: the smallest case of such a clause may show another cause. What a call writes into other arrays is seen in
    any call: it says itself what it needs.
    """
    first = group[0]
    if not is_special(first.finding) or first.quantity == "effects":
        return first.conditions
    needed = needed_by(group)
    if needed is None:
        return first.conditions
    untold = first.kinds - {c.value for c in needed} - own_features(first.finding)
    return tuple(c for c in first.conditions if c.value not in untold) or needed
