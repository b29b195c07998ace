"""A finding with what it needs, as far as experiments can say."""

from __future__ import annotations

from dataclasses import dataclass

from bnspec.conformance.causes.order import (
    CLEAR,
    LAYOUT,
    MASKED,
    MEASURED,
    MISREADING,
    PARAMETERS,
    SIZES_OF_ERRORS,
    SIZES_OF_SMALL_ERRORS,
    TRAINED,
    compares,
    general_first,
    is_frozen,
    one_layout,
    setting,
    steps_of,
)
from bnspec.conformance.causes.quantities import FROZEN, OF_INFERENCE, Quantity, quantity
from bnspec.conformance.causes.values import KINDS_OF_VALUES
from bnspec.reports.run.causes import Condition
from bnspec.reports.run.records import Finding


@dataclass(frozen=True)
class Deviation:
    """A finding, and what it needs on its smallest case.

    Attributes:
        number: of the deviations of its clause on the target; 0: on the smallest case. See ``beneath``.
        elsewhere: clauses that deviate on such a case, and cannot be judged on it.
        unknown: features of the case that no experiment could make ordinary: it may need them or not.
        changing: of what it needs, what changes the layer's own results: a cause that does not need that explains no such change.
        misused: where y is wrong on ordinary cases: "gamma", where it is not the layer's own y for gamma 1 and beta 0, scaled and
            shifted; "epsilon", where it does not depend on that; else "".
        scattered: whether the result differs from run to run by as much as it is wrong.
        examined: whether all its experiments were made. Conditions that nobody looked for make no clause more basic.
    """

    finding: Finding
    conditions: tuple[Condition, ...] = ()
    number: int = 0
    elsewhere: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    examined: bool = True
    changing: frozenset[str] = frozenset()
    misused: str = ""
    scattered: bool = False

    @property
    def key(self) -> str:
        """By which outcomes of experiments hold it: its clause, and its number where it is not the first."""
        return f"{self.finding.clause} ({self.number + 1})" if self.number else self.finding.clause

    @property
    def general(self) -> tuple[int, ...]:
        """The key by which clauses that speak of all cases are ordered, the most basic first."""
        of_size = SIZES_OF_ERRORS | SIZES_OF_SMALL_ERRORS if self.near else frozenset[str]()
        needed = tuple(c for c in self.conditions if c.feature not in of_size)
        calls, *rest = general_first(self.finding, needed, len(self.unknown - of_size))
        frozen = any(is_frozen(c) for c in self.conditions)  # what inference shows, too, is no fault of freezing
        return not self.examined, calls + frozen, *rest

    @property
    def quantity(self) -> Quantity:
        """What is wrong; a layer that is still frozen infers in training, too."""
        found = quantity(self.finding)
        return FROZEN.get(found, found) if any(is_frozen(c) for c in self.conditions) else found

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of values that it needs: NaN, constants, those whose squares overflow."""
        return frozenset(c.value for c in self.conditions) & KINDS_OF_VALUES

    @property
    def masked(self) -> bool:
        """Whether it shows in a masked call, or after one."""
        called = {self.finding.evidence.call} if self.finding.evidence is not None else set()
        called = called.union(*(steps_of(c) for c in self.conditions if c.feature == "history"))
        return bool(called & MASKED)

    @property
    def near(self) -> bool:
        """Whether its errors are at most those of some roundings: what such a one needs may be its size."""
        evidence, ratio = self.finding.evidence, self.finding.ratio
        measured = evidence is not None and evidence.relation in MEASURED
        return measured and ratio is not None and 1.0 < float(ratio) <= CLEAR

    @property
    def setting(self) -> frozenset[str]:
        """The features that it needs, without those that only make an error of roundings large enough to be seen."""
        return self.whole_setting - SIZES_OF_SMALL_ERRORS if self.near else self.whole_setting

    @property
    def whole_setting(self) -> frozenset[str]:
        """The features that it needs, whatever the size of its errors; see ``order.setting``.

        Statistics that training leaves are a state, as given ones are, whatever their decay. Beside a feature of which any array may be misread, a
        parameter only shows in which array it is; and beside a layout, epsilon only that dx of few values is not 0: of two it is
        gamma inv_std (dy_1 - dy_2) / 2 times epsilon / (var + epsilon). A masked call that is compared with another has that one before it.
        """
        needed = setting(self.conditions)
        if self.finding.family == "mask" and compares(self.finding):
            needed = needed - {"history"}
        trained = any(c.feature == "history" and TRAINED & steps_of(c) for c in self.conditions)
        if trained and self.quantity in OF_INFERENCE and needed - {"history", "state"}:
            needed = needed - {"history", "decay"} | {"state"}
        if LAYOUT in needed and self.quantity in ("gradients of training", "second order"):
            needed = needed - {"epsilon"}
        return needed - PARAMETERS if needed & MISREADING else needed

    @property
    def possible(self) -> frozenset[str]:
        """The features that it may need: the unknown ones, and the state that a history leaves of which nobody knows."""
        return one_layout(self.unknown) | ({"state"} if "history" in self.unknown else frozenset())

    def needs_as(self, other: Deviation) -> bool:
        """Whether both need the same features, as far as experiments can say; a small error may be one of another size."""
        mine, others = ({d.setting, d.whole_setting} for d in (self, other))
        return any(self._needs(a, b, other) for a in mine for b in others)

    def _needs(self, mine: frozenset[str], others: frozenset[str], other: Deviation) -> bool:
        """Whether the settings are the same, as far as is known."""
        if (mine | others) & MISREADING or (self.kinds and self.kinds == other.kinds):
            mine, others = mine - PARAMETERS, others - PARAMETERS
        return mine - others <= other.possible and others - mine <= self.possible
