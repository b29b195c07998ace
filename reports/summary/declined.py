"""What was declined, and why: counts over findings. A clause on a case counts once, as it does where it is judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from bnspec.reports.run.records import Finding, target_name

#: From this share of the asked on, the headline of a target says how much was declined.
MUCH = 0.25


@dataclasses.dataclass
class DeclineCount:
    """One reason: how many clauses on cases were declined for it, of which clauses, on which targets."""

    cases: int = 0
    clauses: set[str] = dataclasses.field(default_factory=set)
    targets: dict[str, None] = dataclasses.field(default_factory=dict)


def by_reason(findings: Iterable[Finding]) -> list[tuple[str, DeclineCount]]:
    """The reasons with their counts, the largest first."""
    counts: dict[str, DeclineCount] = {}
    for finding in findings:
        for declined in finding.reasons:
            count = counts.setdefault(declined.reason, DeclineCount())
            count.cases += declined.cases
            count.clauses.add(finding.clause)
            count.targets[target_name(finding)] = None
    return sorted(counts.items(), key=lambda item: (-item[1].cases, item[0]))


def much_declined(findings: Sequence[Finding]) -> str:
    """That much of what was asked of a target was declined, or families as a whole; empty where neither is so.

    "31 % of what was asked was declined, all of mask and second_order"
    """
    declined = sum(f.declined for f in findings)
    asked = declined + sum(f.cases for f in findings)
    share = declined / asked if asked else 0.0
    families = dict.fromkeys(f.family for f in findings if f.declined)
    whole = [n for n in families if not any(f.cases for f in findings if f.family == n)]
    if share < MUCH and not whole:
        return ""
    # rounded down to 1 % at least: what is said to be 25 % is, and what is declined is not said to be 0 %
    words = f"{max(int(100 * share), 1)} % of what was asked was declined"
    return f"{words}, all of {_listed(whole)}" if whole else words


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
