"""All that changed between the targets of two runs, or between releases in one.

compare_runs(a, b)               two runs
compare_operands(a, b)           some targets of each, see ``operands``
compare_successive(operand)      one run: each release with the next
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bnspec.errors import UsageError
from bnspec.reports.compare.bits import compared_bits, compared_endings
from bnspec.reports.compare.change import Change, Compared, Coverage, Excluded, Kind
from bnspec.reports.compare.conventions import compared_conventions, compared_stability
from bnspec.reports.compare.judged import JudgedTarget, judged_targets
from bnspec.reports.compare.operands import Operand, Pair, Place, pair_up, successive
from bnspec.reports.compare.times import Timed, movements, timed_pairs
from bnspec.reports.compare.verdicts import compared_verdicts, opened, other_cases
from bnspec.reports.run.merge import damage
from bnspec.reports.run.store import Run


@dataclass(frozen=True)
class TargetComparison:
    """Two targets: what changed, what that rests on, and what could not be compared."""

    pair: Pair
    changes: tuple[Change, ...]
    coverage: tuple[Coverage, ...]
    excluded: tuple[Excluded, ...]

    def of(self, *kinds: Kind) -> list[Change]:
        """The changes of these kinds; of times, those that are real."""
        return [c for c in self.changes if c.kind in kinds and c.movement in (None, "real")]

    @property
    def compared(self) -> bool:
        """Whether anything was compared at all."""
        return any(c.both for c in self.coverage) or any(c.kind == "target" for c in self.changes)

    @property
    def sentence(self) -> str:
        """What changed, in one line."""
        if not self.compared:
            return "nothing could be compared"
        changed = {kind: len(self.of(kind)) for kind in _WORDS}
        if changed["bits"] and sum(map(bool, changed.values())) == 1:
            return f"bits changed, nothing else ({', '.join(c.what for c in self.of('bits'))})"
        parts = [f"{n} {_WORDS[kind]}{'s' * (n > 1)}" for kind, n in changed.items() if n and kind != "bits"]
        parts += ["bits changed"] if changed["bits"] else []
        return ", ".join(parts) or "nothing changed"


_WORDS: dict[Kind, str] = {
    "target": "target that opens or not",
    "verdict": "changed verdict",
    "convention": "changed convention",
    "stability": "changed stability class",
    "ending": "other ending",
    "time": "changed time",
    "bits": "bits",
}


@dataclass(frozen=True)
class Comparison:
    """The pairs, what has no counterpart on either side, and what a reader must know of the runs."""

    pairs: tuple[TargetComparison, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def runs(self) -> list[Run]:
        """The runs that were compared."""
        return list({run.path: run for p in self.pairs for run, _ in p.pair}.values())

    @property
    def changes(self) -> list[tuple[TargetComparison, Change]]:
        """Every change with its pair."""
        return [(p, c) for p in self.pairs for c in p.changes]


def compare_runs(before: Run, after: Run) -> Comparison:
    """What changed between two runs. Raises UsageError: they have no targets in common."""
    return compare_operands(Operand(before), Operand(after))


def compare_operands(before: Operand, after: Operand) -> Comparison:
    """What changed between two operands. Raises UsageError: they have no targets in common."""
    pairs, left, right = pair_up(before, after)
    if not pairs:
        raise UsageError(
            f"{before.run.path} and {after.run.path} have no targets in common.",
            f"one has {', '.join(left[:6]) or 'none'}, the other {', '.join(right[:6]) or 'none'}.",
            "name one target of each: RUN:TARGET RUN:TARGET.",
        )
    return compare_pairs(pairs, left, right)


def compare_successive(operand: Operand) -> Comparison:
    """What changed from each release of one run to the next. Raises UsageError: it has no two of a backend."""
    return compare_pairs(successive(operand))


def compare_pairs(pairs: Sequence[Pair], left: Sequence[str] = (), right: Sequence[str] = ()) -> Comparison:
    """The comparisons of pairs; rates of false discoveries are controlled over all of them."""
    runs = {run.path: run for pair in pairs for run, _ in pair}
    journals = {path: judged_targets(run) for path, run in runs.items()}
    timed: dict[str, list[Timed]] = {}
    times: dict[str, Compared] = {}
    for pair in pairs:
        timed[pair.title], times[pair.title] = timed_pairs(pair)
    moved = movements(timed)
    found = [_compared(pair, journals, times[pair.title], moved[pair.title]) for pair in pairs]
    return Comparison(tuple(found), tuple(left), tuple(right), tuple(_notes(list(runs.values()))))


def _compared(
    pair: Pair, journals: dict[Path, dict[Place, JudgedTarget]], times: Compared, moved: tuple[Change, ...]
) -> TargetComparison:
    judged = [journals[run.path].get(place) for run, place in pair]
    parts = [
        opened(pair),
        compared_verdicts(pair, *judged),
        compared_conventions(pair),
        compared_stability(pair),
        compared_endings(pair),
        compared_bits(pair),
        times,
    ]
    changes = [c for part in parts for c in part.changes]
    return TargetComparison(
        pair,
        (*changes, *moved),
        tuple(c for part in parts for c in part.coverage),
        tuple(e for part in parts for e in part.excluded),
    )


def _notes(runs: Sequence[Run]) -> list[str]:
    """What a reader must know of the runs."""
    notes = [f"Run {r.manifest.id} was cut short: compared is what it had recorded." for r in runs if not r.complete]
    notes += [damage(run) for run in runs if run.damaged]
    for run in runs[1:]:
        a, b = runs[0].manifest, run.manifest
        if a.bnspec != b.bnspec:
            notes.append(
                f"Runs {a.id} and {b.id} were made by bnspec {a.bnspec} and {b.bnspec}: a verdict may be another because "
                "the suite is."
            )
        elif why := other_cases(runs[0], run):
            notes.append(f"Runs {a.id} and {b.id} have other cases ({why}): verdicts are compared over those of both.")
    return notes
