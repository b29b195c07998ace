"""How far the verdicts on this machine hold: false alarms and detectable slowdown, for our rule and those of other tools."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bnspec.benchmarks.statistics.detectable_effect import POWER, detectable_by_injection
from bnspec.benchmarks.statistics.other_rules import OTHER_RULES
from bnspec.benchmarks.statistics.proportions import Proportion, proportion_of
from bnspec.benchmarks.statistics.self_comparison import Family, SelfComparison, families_of, half_slowed
from bnspec.errors import UsageError
from bnspec.reports.run.vocabulary import ComparisonVerdict
from bnspec.reports.statistics.verdicts import decide

#: The names of our rule, and of its test without false discovery control.
OURS, ALONE = "bnspec", "bnspec, each cell alone"
#: Verdicts that claim a difference.
DECIDED = ("FASTER", "SLOWER")
Rule = Callable[[Family], Mapping[str, ComparisonVerdict]]


@dataclasses.dataclass(frozen=True)
class RuleRecord:
    """The record of one rule.

    Attributes:
        rule: its name.
        false_alarms: A/A comparisons that it calls FASTER or SLOWER.
        alarmed_families: replicate runs with at least one false alarm.
        found: cells with an injected slowdown that it calls SLOWER, where all cells have one.
        mixed_found: likewise, where every other cell has one.
        false_discoveries: of its FASTER and SLOWER in that mix, the wrong ones: no slowdown was injected, or the side is wrong.
        false_discovery_rate: the mean over families of their proportion, 0 where there are no discoveries: the rate that
            Benjamini and Hochberg's procedure controls. None without families.
    """

    rule: str
    false_alarms: Proportion
    alarmed_families: Proportion
    found: Proportion
    mixed_found: Proportion
    false_discoveries: Proportion
    false_discovery_rate: float | None


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The result of ``calibrate``.

    Attributes:
        families, cells, comparisons: how many replicate runs, different cells, and A/A comparisons.
        pairs: fewest and most pairs of processes in a comparison.
        rate, power: false discovery rate of our rule; proportion of slowdowns that must be found.
        detectable_ratio: the minimum detectable effect: the smallest slowdown that, at 95 % confidence, is found in at least that
            proportion when all cells have it; None where the data show none. estimated_ratio: the same by the estimate alone.
        rules: our rule, its test alone, and those of other tools; false alarms over all comparisons, the rest over held-out
            families.
    """

    families: int
    cells: int
    comparisons: int
    pairs: tuple[int, int]
    rate: float
    power: float
    detectable_ratio: float | None
    estimated_ratio: float | None
    rules: tuple[RuleRecord, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data; a proportion is its two counts."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Back from ``to_json``."""
        rules = tuple(RuleRecord(**_proportions(record)) for record in data["rules"])
        low, high = data["pairs"]
        return cls(**{**data, "pairs": (low, high), "rules": rules})


def calibrate(comparisons: Iterable[SelfComparison], *, rate: float = 0.05, power: float = POWER) -> Calibration:
    """False alarms and detectable slowdown, from A/A comparisons.

    Families 0, 2, 4, ... estimate the detectable ratio. Families 1, 3, 5, ... are held out: there that ratio is injected by
    multiplying the candidate's samples, first in all cells, then in every other cell.

    Args:
        comparisons: every cell in every family; a family is a replicate run, over which the false discovery rate is controlled.
    Returns: where no ratio is detectable, proportions of injected slowdowns are 0 of 0.
    Raises: UsageError: fewer than two families, or a cell twice in one.
    """
    families = families_of(comparisons)
    if len(families) < 2:
        raise UsageError(
            f"{len(families)} replicate run is too few to calibrate.",
            "one run estimates the detectable slowdown, another checks it.",
            "measure every cell in two runs or more, each a family of its own.",
        )
    pairs = [{cell: one.paired() for cell, one in family.items()} for family in families[0::2]]
    ratio = detectable_by_injection(pairs, rate=rate, power=power)
    rules = {OURS: functools.partial(_ours, rate=rate), ALONE: functools.partial(_alone, rate=rate)}
    rules.update({name: functools.partial(_each, other=other) for name, other in OTHER_RULES.items()})
    counts = [len(one.baseline) for family in families for one in family.values()]
    return Calibration(
        len(families),
        len({cell for family in families for cell in family}),
        len(counts),
        (min(counts), max(counts)),
        rate,
        power,
        ratio,
        detectable_by_injection(pairs, rate=rate, power=power, sure=False),
        tuple(_record(name, rule, families, ratio) for name, rule in rules.items()),
    )


def _proportions(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record's fields, its proportions rebuilt from their counts."""
    return {name: Proportion(**value) if isinstance(value, Mapping) else value for name, value in record.items()}


def _ours(family: Family, rate: float) -> Mapping[str, ComparisonVerdict]:
    decisions = decide({cell: one.paired() for cell, one in family.items()}, rate)
    return {cell: decision.verdict for cell, decision in decisions.items()}


def _alone(family: Family, rate: float) -> Mapping[str, ComparisonVerdict]:
    return {cell: _ours({cell: one}, rate)[cell] for cell, one in family.items()}


def _each(family: Family, other: Callable[[SelfComparison], ComparisonVerdict]) -> Mapping[str, ComparisonVerdict]:
    return {cell: other(one) for cell, one in family.items()}


def _record(name: str, rule: Rule, families: list[Family], ratio: float | None) -> RuleRecord:
    """The rule's record."""
    alarms = [[verdict in DECIDED for verdict in rule(family).values()] for family in families]
    found, mixed_found, false, rates = [], [], [], []
    for number, family in enumerate(families[1::2] if ratio else []):
        slowed = rule({cell: one.slowed(ratio or 1.0) for cell, one in family.items()})
        found += [verdict == "SLOWER" for verdict in slowed.values()]
        mixed, chosen = half_slowed(family, number, ratio or 1.0)
        verdicts = rule(mixed)
        mixed_found += [verdicts[cell] == "SLOWER" for cell in sorted(chosen)]
        wrong = [verdict == "FASTER" or cell not in chosen for cell, verdict in verdicts.items() if verdict in DECIDED]
        false += wrong
        rates.append(sum(wrong) / max(len(wrong), 1))
    return RuleRecord(
        name,
        proportion_of([alarm for family in alarms for alarm in family]),
        proportion_of([any(family) for family in alarms]),
        proportion_of(found),
        proportion_of(mixed_found),
        proportion_of(false),
        sum(rates) / len(rates) if rates else None,
    )
