"""The kill matrix as the page shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.reports.run.mutants import ClauseKills, KillMatrix, Mutant, Variant
from bnspec.reports.run.store import Run
from bnspec.reports.summary.headlines import mutants_headline


@dataclasses.dataclass(frozen=True)
class MutantSection:
    """What the page says of the suite's own test.

    Attributes:
        headline: the answer in one line.
        wrong: mutants that survive or are killed for other reasons only, and variants that are accused.
        escaping: mutants that are known to escape.
        families: mutants by family; variants: the correct ones.
        clauses: kills of each clause; mistrusted: the clauses that kill nothing in a whole matrix.
        matrices: of each run.
    """

    headline: str
    wrong: Sequence[Mutant | Variant]
    escaping: Sequence[Mutant]
    families: Sequence[tuple[str, Sequence[Mutant]]]
    variants: Sequence[Variant]
    clauses: Sequence[ClauseKills]
    mistrusted: Sequence[str]
    matrices: Sequence[KillMatrix]


def mutants(run: Run) -> MutantSection | None:
    """The section; None where no mutant and no variant was run."""
    if not run.mutants and not run.variants:
        return None
    every: tuple[Mutant | Variant, ...] = (*run.mutants, *run.variants)
    families = dict.fromkeys(m.family for m in run.mutants)
    return MutantSection(
        headline=mutants_headline(run),
        wrong=[r for r in every if not r.as_it_should_be],
        escaping=[m for m in run.mutants if m.escapes],
        families=[(f, [m for m in run.mutants if m.family == f]) for f in families],
        variants=run.variants,
        clauses=run.clause_kills,
        mistrusted=[c.clause for c in run.clause_kills if c.mistrusted],
        matrices=run.kill_matrices,
    )
