"""Conventions inferred from experiments, and translations, as the page shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.reports.run.conventions import Convention, Translation
from bnspec.reports.run.records import target_name
from bnspec.reports.run.store import Run


@dataclasses.dataclass(frozen=True)
class ConventionRow:
    """A field across the targets; None where it was not asked of a target."""

    field: str
    cells: Sequence[Convention | None]


@dataclasses.dataclass(frozen=True)
class ConventionSection:
    """What the page says of conventions.

    Attributes:
        targets: in their order; rows: the fields that could be observed of some target.
        differing, undecided: what does not agree with its declaration, and what is not known.
        unobservable: fields that no target shows, with the reason.
        translations: in their order.
    """

    targets: Sequence[str]
    rows: Sequence[ConventionRow]
    differing: Sequence[Convention]
    undecided: Sequence[Convention]
    unobservable: Sequence[tuple[str, str]]
    translations: Sequence[Translation]


def conventions(run: Run) -> ConventionSection | None:
    """The section; None where nothing was inferred."""
    found = run.conventions
    if not found and not run.translations:
        return None
    targets = list(dict.fromkeys(map(target_name, found)))
    by_cell = {(c.field, target_name(c)): c for c in found}
    rows = [ConventionRow(f, [by_cell.get((f, t)) for t in targets]) for f in dict.fromkeys(c.field for c in found)]

    def seen(row: ConventionRow) -> bool:
        return any(c is not None and c.agreement != "not observable" for c in row.cells)

    reasons = [(r.field, next(c.reason for c in r.cells if c is not None)) for r in rows if not seen(r)]
    return ConventionSection(
        targets=targets,
        rows=[r for r in rows if seen(r)],
        differing=[c for c in found if c.agreement == "differs"],
        undecided=[c for c in found if c.agreement == "undecided"],
        unobservable=reasons,
        translations=run.translations,
    )
