"""From cells to comparisons: every candidate against the baseline, on every workload where both were timed and conform."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bnspec.benchmarks.statistics.detectable_effect import detectable
from bnspec.benchmarks.statistics.stopping import Precision
from bnspec.reports.run.records import Comparison
from bnspec.reports.statistics.paired import Paired, paired
from bnspec.reports.statistics.verdicts import decide
from bnspec.reports.summary.cells import Cell

#: A workload's id, and the candidate's name.
Key = tuple[str, str]


def pairs_of(listed: Sequence[Cell], baseline: str) -> dict[Key, Paired]:
    """The pairs of processes, by round, of each candidate and the baseline; cells whose outputs do not conform are not compared."""
    right = [c for c in listed if c.verdict == "conforms"]
    against = {c.workload: c.medians_ns for c in right if c.contender == baseline}
    found = {}
    for cell in right:
        if cell.contender == baseline or cell.workload not in against:
            continue
        base, own = against[cell.workload], cell.medians_ns
        rounds = sorted(base.keys() & own.keys())
        if rounds:
            medians = [base[r] for r in rounds], [own[r] for r in rounds]
            found[cell.workload, cell.contender] = paired(*medians, adaptive=True)
    return found


def compared(listed: Sequence[Cell], baseline: str, margin: float) -> list[Comparison]:
    """The verdict of every comparison of the run; the false discovery rate is controlled over all of them."""
    pairs = pairs_of(listed, baseline)
    comparisons = []
    for (workload, candidate), d in decide(pairs, margin=margin).items():
        known = d.pairs > 1
        comparisons.append(
            Comparison(
                workload,
                baseline,
                candidate,
                d.pairs,
                _number(d.ratio),
                _number(d.low) if known else None,
                _number(d.high) if known else None,
                d.q,
                d.verdict,
                d.more_processes,
                detectable(pairs[workload, candidate]),
            )
        )
    return comparisons


def precise(listed: Sequence[Cell], baseline: str, rule: Precision) -> bool:
    """Whether the confidence intervals are narrow enough: of the ratios, or for a single contender of its medians."""
    pairs = list(pairs_of(listed, baseline).values())
    if not pairs:
        alone = [list(c.medians_ns.values()) for c in listed if c.verdict == "conforms" and c.contender == baseline]
        pairs = [paired(medians[:1] * len(medians), medians, adaptive=True) for medians in alone]
    return rule.enough(pairs)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
