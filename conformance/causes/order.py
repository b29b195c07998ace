"""Which clauses are more basic than others."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bnspec.clauses import CLAUSES
from bnspec.conformance.causes.calls import MALFORMED
from bnspec.conformance.causes.layouts import LAYOUTS
from bnspec.conformance.causes.quantities import (
    BEFORE_ANY_CALL,
    DERIVATIVES,
    quantity,
)
from bnspec.conformance.causes.values import CONSTANT, NOT_FINITE, OVERFLOWING
from bnspec.model.call import CALLS, call_named
from bnspec.reports.run.causes import Condition
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import LEVELS

#: Families, the most basic first: what a call does to its surroundings, then results in the order in which they are computed.
BASIC = (
    "contract", "errors", "purity", "state", "degenerate", "special", "training", "epsilon", "affine", "running",
    "input", "layernorm", "inference", "gradient", "mask", "layout", "dtype", "accuracy", "placement", "sharded", "second_order",
)  # fmt: skip
#: Families that say something of their own only where a deviation needs one of these features, or values of these kinds.
OWN_FEATURES: dict[str, frozenset[str]] = {
    "epsilon": frozenset({"epsilon"}),
    "affine": frozenset({"gamma", "beta", "affine"}),
    "layout": frozenset({"layout of x", "layout of dy", "rank", "equal extents", "extents", "many channels", "one channel", "threads"}),
    "dtype": frozenset({"dtype"}),
    "degenerate": frozenset({"count", CONSTANT}),
    "special": frozenset({NOT_FINITE, OVERFLOWING}),
    "accuracy": frozenset({"extents", "many channels", "dtype"}),
    "state": frozenset({"history"}),
    "purity": frozenset({"layout of the parameters"}),
    "errors": frozenset({MALFORMED}),
    "placement": frozenset({"network"}),
}  # fmt: skip
#: Families of clauses about calls that no experiment compares with others: of networks, of memory that arguments share.
APART = ("placement", "purity")
#: Clauses that judge errors within the bounds of others: they may deviate where no other clause does.
NARROWER = (
    "accuracy.keeps_a_digit", "accuracy.errors_are_unbiased", "dtype.half_is_as_exact_as_declared", "dtype.parameters_are_not_narrowed",
)  # fmt: skip
#: What an error that these calls show may need.
IN_NETWORKS = frozenset({"rank", "history", "epsilon", "decay", "gamma", "beta", "state", "extents", "many channels"})
#: A family whose clauses name a cause only where no other clause does.
LAST = ("accuracy",)
#: The layouts of x and dy, as one feature.
LAYOUT = "layout of x or dy"
#: Features on which the size of almost any error depends: what needs them may be one error of another size.
SIZES_OF_ERRORS = frozenset({"values of x", "values of dy", "count", "one channel"})
#: What else the size of an error within the bounds of most clauses depends on.
SIZES_OF_SMALL_ERRORS = frozenset({"state", "epsilon", "decay", "gamma", "beta"})
#: An error of so many bounds is no rounding error: what of it is not seen elsewhere is not there. It is 1 / sqrt(u) of float32, the
#: dtype of experiments that need no other: half of the digits are lost.
CLEAR = 2.0**12
#: An epsilon of at most this size is tiny: users give larger ones.
TINY_EPSILON = 2.0**-16
#: Relations that measure an error in bounds.
MEASURED = ("within_bound", "agrees", "sums")
#: Calls that move the statistics.
TRAINED = frozenset(name for name, call in CALLS.items() if call.mode == "training")
#: Calls with a mask.
MASKED = frozenset(name for name, call in CALLS.items() if call.has_mask)
#: Calls that a network makes of its layer.
OF_NETWORKS = frozenset(name for name, call in CALLS.items() if call.mode is not None) - MASKED
#: Features with which any array may be misread, and what an array of one value per channel is misread of.
MISREADING = frozenset(
    {
        "rank",
        LAYOUT,
        "layout of the parameters",
        "equal extents",
        "one row",
        "extents",
        "many channels",
        "dtype",
        "threads",
    }
)
PARAMETERS = frozenset({"gamma", "beta", "state"})
#: Of those, what the shapes of arrays are, and the threads among which they are divided.
SHAPES = frozenset({"rank", "equal extents", "one row", "extents", "many channels", "threads"})
#: The same of single clauses: in families that speak of all cases, or of several features; or values of a feature, in words.
OWN_FEATURES_OF_CLAUSES: dict[str, frozenset[str]] = {
    "degenerate.constant_channel": frozenset({CONSTANT}),
    **dict.fromkeys(("degenerate.count_one", "degenerate.gradients_of_count_one"), frozenset({"1 value per channel"})),
    **dict.fromkeys(
        ("degenerate.empty_batch", "degenerate.gradients_of_empty_batch"), frozenset({"0 values per channel"})
    ),
    **dict.fromkeys(("running.decay_one_keeps", "running.decay_zero_replaces"), frozenset({"decay"})),
    **dict.fromkeys(("layout.strides", "layout.copies"), frozenset({"layout of x", "layout of dy"})),
    **dict.fromkeys(("layout.axis", "layout.joined_axes"), frozenset({"rank", "equal extents"})),
    "layout.extents": frozenset({"extents", "many channels"}),
    "layout.threads": frozenset({"threads"}),
    "gradient.frozen_statistics": frozenset({"freeze", "unfreeze"}),
    "running.initial_state": frozenset({"initial values"}),
    "state.snapshot_continues": frozenset({"save_restore"}),
    "state.copy_is_independent": frozenset({"clone", "swap"}),
    "state.reset_restores_the_beginning": frozenset({"reset"}),
    "running.new_decay_takes_effect": frozenset({"set_decay"}),
}
#: Clauses that say of a call that it is a function: one that is none keeps no exact law, and has errors of no certain size.
FUNCTIONS = ("training.repeatable", "inference.repeatable")
#: Laws without a bound: the least error breaks them.
EXACT = ("equal_bits", "equals", "zero", "not_finite", "no_offset", "no_gain")
#: What calls between others do: a fault of theirs reaches whatever is called after one.
OPERATIONS = {
    "state.copy_is_independent": "clone",
    "state.snapshot_continues": "save_restore",
    "state.reset_restores_the_beginning": "reset",
    "gradient.frozen_statistics": "freeze",
}
#: Relations that say less of a result than what it is.
WEAK = ("finite", "not_finite", "not_negative", "bounded", "differs")
#: Calls that every user makes: others are variations of them.
USUAL_CALLS = ("forward", "gradients", "fit", "transform", "inverse")


def can_reach(effect: Finding, other: Finding) -> bool:
    """Whether an effect may reach a result without a call before it.

    One of inference alone reaches none of training, and one of an operation between calls no layer that it was not done to.
    """
    if effect.evidence is not None and call_named(effect.evidence.call).between:
        return False
    mode = call_named(other.evidence.call).mode if other.evidence is not None else None
    return effect.family != "inference" or mode != "training"


def own_features(finding: Finding) -> frozenset[str]:
    """The features, or kinds of values, that the clause speaks of; none: it speaks of all cases."""
    return OWN_FEATURES_OF_CLAUSES.get(finding.clause) or OWN_FEATURES.get(finding.family, frozenset())


def is_special(finding: Finding) -> bool:
    """Whether the clause speaks only of some features of a case."""
    return bool(own_features(finding))


def is_weak(finding: Finding) -> bool:
    """Whether the clause says less of a result than what it is."""
    return finding.evidence is not None and finding.evidence.relation in WEAK


def is_usual(finding: Finding) -> bool:
    """Whether the deviation is seen in a call that every user makes; a network makes no others."""
    return finding.evidence is None or call_named(finding.evidence.call).kind in USUAL_CALLS


def compares(finding: Finding) -> bool:
    """Whether the deviation is one between results of the layer, or of a sum: it follows from an error of either."""
    e = finding.evidence
    return e is not None and (e.compared_with is not None or e.relation in ("agrees", "sums", "differs"))


def in_its_own_words(finding: Finding, conditions: tuple[Condition, ...]) -> bool:
    """Whether the clause of a special family speaks of what the deviation needs."""
    own = own_features(finding)
    return any({c.feature, c.value} & own or (c.feature == "history" and steps_of(c) & own) for c in conditions)


def steps_of(history: Condition) -> frozenset[str]:
    """The calls of a history, and whether one is malformed: what is spoken of by clauses about one of them."""
    calls = history.value.removeprefix("after ").split(", ")
    return frozenset(calls) | {MALFORMED for c in calls if c.startswith(MALFORMED)}


def is_frozen(condition: Condition) -> bool:
    """Whether it is a history at whose end the layer is frozen."""
    calls = [c for c in condition.value.removeprefix("after ").split(", ") if c in ("freeze", "unfreeze")]
    return condition.feature == "history" and calls[-1:] == ["freeze"]


def setting(conditions: tuple[Condition, ...]) -> frozenset[str]:
    """The features that are needed, without those that only make an error large enough to be seen.

    What misreads one array misreads the other: the layouts of x and dy are one feature here.
    """
    return one_layout(c.feature for c in conditions if c.feature not in SIZES_OF_ERRORS)


def needs_tiny_epsilon(conditions: Iterable[Condition]) -> bool:
    """Whether an epsilon is needed that is tiny, or 0."""
    return any(c.feature == "epsilon" and epsilon_of(c) <= TINY_EPSILON for c in conditions)


def epsilon_of(condition: Condition) -> float:
    """The epsilon that is needed; infinite where it is no certain one."""
    return math.inf if condition.value == "any" else float(condition.value)


def one_layout(features: Iterable[str]) -> frozenset[str]:
    """The features, with the layouts of x and dy as one."""
    return frozenset(LAYOUT if f in LAYOUTS else f for f in features)


def particular(conditions: tuple[Condition, ...]) -> int:
    """How far from ordinary a case must be: what needs its values is more particular than what needs a setting.

    Beside values, that they are few makes an error large enough to be seen, and no case less ordinary.
    """
    of_values = any(c.feature.startswith("values") for c in conditions)
    counted = [c for c in conditions if not of_values or c.feature not in ("count", "one channel")]
    return sum(2 if c.feature.startswith("values") else 1 for c in counted)


def general_first(finding: Finding, conditions: tuple[Condition, ...], unknown: int = 0) -> tuple[int, ...]:
    """The key that orders clauses which speak of all cases.

    What a single call shows, after others or not, is more basic than a relation between calls, results than their derivatives, their values than that
    they are finite; then what happens on more ordinary cases. ``unknown``: features that it may need.
    """
    derivative = DERIVATIVES.get(quantity(finding), 0)
    family = BASIC.index(finding.family) if finding.family in BASIC else len(BASIC)
    compared = finding.evidence is not None and finding.evidence.compared_with is not None
    weak = is_weak(finding)
    calls = 2 + 2 * compared - is_usual(finding) + any(c.feature == "history" for c in conditions)
    return calls, derivative, weak, particular(conditions) + unknown, family, list(CLAUSES).index(finding.clause)


def place_of(finding: Finding, needed: tuple[Condition, ...] = ()) -> int:
    """What comes first: what a layer is before any call, surroundings of a call, special words that fit what is needed, words about all cases, other words."""
    if finding.clause == BEFORE_ANY_CALL:
        return -2
    if finding.family == "errors" and in_its_own_words(finding, needed):
        return -1
    if finding.clause in OPERATIONS and needed and not in_its_own_words(finding, needed):
        return 3  # what happens without the operation is no effect of it
    if finding.family in ("contract", "errors") or quantity(finding) in ("effects", "endings"):
        return 0
    if in_its_own_words(finding, needed) and finding.family not in LAST:
        return 1
    return 3 if is_special(finding) else 2


def basic_first(finding: Finding, needed: tuple[Condition, ...], general: tuple[int, ...]) -> tuple[int, ...]:
    """The key that orders the findings of one cause: a MAY last, then places, levels, and what is more general.

    Args:
        needed: by the cause; general: the finding's key of ``general_first``.
    """
    return finding.level == "MAY", place_of(finding, needed), LEVELS.index(finding.level), *general
