"""What the verdicts of this machine are worth: false alarms, and the slowdown that is found; ours and the rivals'."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bnspec.benchmarks.statistics.detectable_effect import POWER, planted_ratio
from bnspec.benchmarks.statistics.other_rules import RIVALS
from bnspec.benchmarks.statistics.proportions import Share, share_of
from bnspec.benchmarks.statistics.self_comparison import Family, Group, families_of, half_planted
from bnspec.benchmarks.statistics.verdicts import decide
from bnspec.errors import UsageError
from bnspec.reports.run.vocabulary import ComparisonVerdict

#: The names of our rule, and of its test without the control of false discoveries.
OURS, ALONE = "bnspec", "bnspec, each cell alone"
#: Verdicts that claim a difference.
DECIDED = ("FASTER", "SLOWER")
Rule = Callable[[Family], Mapping[str, ComparisonVerdict]]


@dataclasses.dataclass(frozen=True)
class Track:
    """The record of one rule.

    Attributes:
        rule: its name.
        false_alarms: comparisons of one code with itself that it calls FASTER or SLOWER.
        alarmed_families: replicate runs with at least one of these.
        found: cells with a planted slowdown that it calls SLOWER, where all cells have one.
        mixed_found: likewise, where every other cell has one.
        false_discoveries: of what it calls FASTER or SLOWER there, what is not so: nothing was planted, or the side is wrong.
        false_discovery_rate: the mean over families of the share of these, 0 where nothing was called: what Benjamini and
            Hochberg's procedure promises. None without families.
    """

    rule: str
    false_alarms: Share
    alarmed_families: Share
    found: Share
    mixed_found: Share
    false_discoveries: Share
    false_discovery_rate: float | None


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What ``calibrate`` has measured.

    Attributes:
        families, cells, comparisons: replicate runs, different cells, and groups.
        pairs: fewest and most pairs of processes in a group.
        rate, power: rate of false discoveries that was asked of our rule; share of slowdowns that is to be found.
        detectable_ratio: smallest slowdown of which, at 95 % confidence, at least that share is found when all cells have it;
            None where the data show none. estimated_ratio: where the share in the data is just that.
        tracks: our rule, its test alone, and the rivals; false alarms over all groups, the rest over held-out families.
    """

    families: int
    cells: int
    comparisons: int
    pairs: tuple[int, int]
    rate: float
    power: float
    detectable_ratio: float | None
    estimated_ratio: float | None
    tracks: tuple[Track, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready data; a share is its two counts."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Back from ``to_json``."""
        tracks = tuple(Track(**_shares(track)) for track in data["tracks"])
        low, high = data["pairs"]
        return cls(**{**data, "pairs": (low, high), "tracks": tracks})


def calibrate(groups: Iterable[Group], *, rate: float = 0.05, power: float = POWER) -> Calibration:
    """False alarms and detectable slowdown, from comparisons of one code with itself.

    Families 0, 2, 4, ... tell the detectable ratio; families 1, 3, 5, ... have had no say in it, and there it is planted,
    by multiplying the candidate's samples: first in all cells, then in every other cell.

    Args:
        groups: every cell in every family; a family is a replicate run, in which false discoveries are controlled.
    Returns: where no ratio is detectable, shares of what was planted are of nothing.
    Raises: UsageError: fewer than two families, or a cell twice in one.
    """
    families = families_of(groups)
    if len(families) < 2:
        raise UsageError(
            f"{len(families)} replicate run cannot be calibrated by.",
            "one tells the detectable slowdown, another one whether it is found.",
            "measure every cell in two runs or more, each a family of its own.",
        )
    pairs = [{cell: one.paired() for cell, one in family.items()} for family in families[0::2]]
    ratio = planted_ratio(pairs, rate=rate, power=power)
    rules = {OURS: functools.partial(_ours, rate=rate), ALONE: functools.partial(_alone, rate=rate)}
    rules.update({name: functools.partial(_each, rival=rival) for name, rival in RIVALS.items()})
    counts = [len(one.baseline) for family in families for one in family.values()]
    return Calibration(
        len(families),
        len({cell for family in families for cell in family}),
        len(counts),
        (min(counts), max(counts)),
        rate,
        power,
        ratio,
        planted_ratio(pairs, rate=rate, power=power, sure=False),
        tuple(_track(name, rule, families, ratio) for name, rule in rules.items()),
    )


def _shares(track: Mapping[str, Any]) -> dict[str, Any]:
    """A track's fields, its shares made of their counts."""
    return {name: Share(**value) if isinstance(value, Mapping) else value for name, value in track.items()}


def _ours(family: Family, rate: float) -> Mapping[str, ComparisonVerdict]:
    decisions = decide({cell: one.paired() for cell, one in family.items()}, rate)
    return {cell: decision.verdict for cell, decision in decisions.items()}


def _alone(family: Family, rate: float) -> Mapping[str, ComparisonVerdict]:
    return {cell: _ours({cell: one}, rate)[cell] for cell, one in family.items()}


def _each(family: Family, rival: Callable[[Group], ComparisonVerdict]) -> Mapping[str, ComparisonVerdict]:
    return {cell: rival(one) for cell, one in family.items()}


def _track(name: str, rule: Rule, families: list[Family], ratio: float | None) -> Track:
    """The rule's record."""
    alarms = [[verdict in DECIDED for verdict in rule(family).values()] for family in families]
    found, mixed_found, false, rates = [], [], [], []
    for number, family in enumerate(families[1::2] if ratio else []):
        slowed = rule({cell: one.slowed(ratio or 1.0) for cell, one in family.items()})
        found += [verdict == "SLOWER" for verdict in slowed.values()]
        mixed, planted = half_planted(family, number, ratio or 1.0)
        verdicts = rule(mixed)
        mixed_found += [verdicts[cell] == "SLOWER" for cell in sorted(planted)]
        wrong = [verdict == "FASTER" or cell not in planted for cell, verdict in verdicts.items() if verdict in DECIDED]
        false += wrong
        rates.append(sum(wrong) / max(len(wrong), 1))
    return Track(
        name,
        share_of([alarm for family in alarms for alarm in family]),
        share_of([any(family) for family in alarms]),
        share_of(found),
        share_of(mixed_found),
        share_of(false),
        sum(rates) / len(rates) if rates else None,
    )
