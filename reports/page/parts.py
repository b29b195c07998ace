"""What stands on the page, worked out from the records: everything but its looks."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bnspec.clauses import Clause
from bnspec.reports.page.case import CaseView, view_case
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.run.records import Finding, TargetRecord, ratio_text, target_name
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import LEVELS, Level
from bnspec.reports.summary.cells import Cell
from bnspec.reports.summary.counts import Standing, Tally, deviations, families, tally
from bnspec.reports.summary.excerpt import Excerpt, excerpt, shares


@dataclasses.dataclass(frozen=True)
class ClauseText:
    """A clause as the page shows it; texts are empty for a clause that this version does not know."""

    id: str
    family: str
    level: Level
    statement: str = ""
    formula: str = ""
    source: str = ""

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return clause_anchor(self.id)


@dataclasses.dataclass(frozen=True)
class MatrixRow:
    """A clause across the targets; None where a target has no finding."""

    clause: ClauseText
    cells: Sequence[Finding | None]

    @property
    def quiet(self) -> bool:
        """Whether nothing in the row asks for attention."""
        return all(
            c is None or c.verdict in ("conforms", "declined", "not_exercised", "unavailable") for c in self.cells
        )


@dataclasses.dataclass(frozen=True)
class Deviation:
    """A finding that deviates, with its evidence in rows and its smallest case."""

    finding: Finding
    evidence: Sequence[tuple[str, str]]
    case: CaseView | None


@dataclasses.dataclass(frozen=True)
class ConventionsTable:
    """Declared conventions: fields in which the targets differ, each with a cell (text, unusual) per target; and the others."""

    targets: Sequence[str]
    differing: Sequence[tuple[str, Sequence[tuple[str, bool]]]]
    common: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Sums:
    """What stands for a matrix that is too large to show.

    Attributes:
        families: the columns; targets: each with a tally of each family, those that break most; clauses: each over all targets.
    """

    families: Excerpt[str]
    targets: Excerpt[tuple[str, Sequence[Tally]]]
    clauses: Excerpt[tuple[ClauseText, Tally]]


#: Cells of the matrix, targets, clauses; deviations, causes and incidents shown one by one: about 5 MB of page.
CELLS, TARGETS, CLAUSES, DEVIATIONS, CAUSES, INCIDENTS = 8000, 200, 500, 300, 300, 100
#: Targets with a card of their own at the top; families that are columns.
CARDS, FAMILIES = 60, 40


def slug(words: str) -> str:
    """The words as an anchor."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", words).strip("-")


def clause_anchor(name: str) -> str:
    """Where a clause's text stands on the page."""
    return f"clause-{slug(name)}"


def anchor(finding: Finding | Cause) -> str:
    """Where a deviation stands on the page."""
    return f"deviation-{slug(finding.clause)}-{slug(target_name(finding))}"


def clause_texts(findings: Sequence[Finding], clauses: Mapping[str, Clause]) -> list[ClauseText]:
    """Every clause of the run, by family and in order of appearance; the run's own family and level count."""
    first = {f.clause: f for f in reversed(findings)}
    order = families(findings)
    seen = dict.fromkeys(f.clause for f in findings)
    texts = []
    for name in sorted(seen, key=lambda c: order.index(first[c].family)):
        finding, clause = first[name], clauses.get(name)
        words = (clause.statement, clause.formula, clause.source) if clause else ("", "", "")
        texts.append(ClauseText(name, finding.family, finding.level, *words))
    return texts


def matrix(
    texts: Sequence[ClauseText], rows: Sequence[Standing], findings: Sequence[Finding]
) -> dict[str, list[MatrixRow]]:
    """Clauses by targets, grouped by family."""
    cells = {(f.clause, target_name(f)): f for f in findings}
    grouped: dict[str, list[MatrixRow]] = {}
    for text in texts:
        row = MatrixRow(text, [cells.get((text.id, s.target)) for s in rows])
        grouped.setdefault(text.family, []).append(row)
    return grouped


def sums(texts: Excerpt[ClauseText], rows: Excerpt[Standing], findings: Sequence[Finding]) -> Sums:
    """The sums of a matrix that is too large to show: of the clauses and targets that are shown."""
    wanted = {s.target for s in rows.shown}
    by_family: dict[tuple[str, str], list[Finding]] = {}
    by_clause: dict[str, list[Finding]] = {}
    for f in findings:
        by_clause.setdefault(f.clause, []).append(f)
        if (target := target_name(f)) in wanted:
            by_family.setdefault((target, f.family), []).append(f)
    columns = excerpt(families(findings), FAMILIES)
    targets = [(s.target, [tally(by_family.get((s.target, n), ())) for n in columns.shown]) for s in rows.shown]
    clauses = [(t, tally(by_clause[t.id])) for t in texts.shown]
    return Sums(columns, Excerpt(targets, rows.more), Excerpt(clauses, texts.more))


def deviating(
    runs: Sequence[Run], texts: Sequence[ClauseText], findings: Sequence[Finding]
) -> list[tuple[ClauseText, Excerpt[Deviation]]]:
    """Each clause that a target deviates from, MUST first, with those targets, the worst first; of very many only the first."""
    of = {t.id: t for t in texts}
    grouped: dict[str, list[Finding]] = {}
    for f in deviations(findings):
        grouped.setdefault(f.clause, []).append(f)
    in_order = dict(sorted(grouped.items(), key=lambda g: LEVELS.index(of[g[0]].level)))
    found = []
    for name, part in shares(in_order, DEVIATIONS).items():
        shown = [Deviation(f, evidence_rows(f.evidence), _case_of(runs, f)) for f in part.shown]
        found.append((of[name], Excerpt(shown, part.more)))
    return found


def _case_of(runs: Sequence[Run], finding: Finding) -> CaseView | None:
    path = finding.shrunk or finding.case
    return view_case(runs, path, finding.evidence) if path else None


def evidence_rows(evidence: Evidence | None) -> list[tuple[str, str]]:
    """The worst element in rows: where it is, then expected, got, bound, and what else is on record."""
    if evidence is None:
        return []
    e = evidence
    rows = [("call", f"step {e.step}, {e.call}()"), ("broken relation", e.relation.replace("_", " "))]
    if e.output:
        rows.append(("output", e.output + (f"[{', '.join(map(str, e.index))}]" if e.index else "")))
    rows += [(k, text_of(v)) for k in ("expected", "got", "bound") if (v := getattr(e, k)) is not None]
    if e.compared_with is not None:
        rows.append(("compared with", f"step {e.compared_with}"))
    if e.names:
        rows.append(("names", ", ".join(e.names)))
    if e.exception:
        rows.append(("exception", e.exception))
    return rows + ([("ratio here", ratio_text(e.ratio))] if e.ratio is not None else [])


def is_web(link: str) -> bool:
    """Whether a link leads to a web page; any other kind, which may be a script, is not made a link."""
    return link.startswith(("https://", "http://"))


def declared(targets: Sequence[TargetRecord]) -> ConventionsTable | None:
    """The declared conventions side by side; None where nobody declares one."""
    listed = [t for t in targets if t.conventions]
    if not listed:
        return None
    differing, common = [], []
    for field in dict.fromkeys(k for t in listed for k in t.conventions):
        words = [text_of(t.conventions[field]) if field in t.conventions else "" for t in listed]
        counts = Counter(words)
        if len(counts) == 1:
            common.append((field, words[0]))
        else:
            most = max(counts.values())
            usual = [w for w, n in counts.items() if n == most]
            differing.append((field, [(w, len(usual) == 1 and w != usual[0]) for w in words]))
    return ConventionsTable([target_name(t) for t in listed], differing, common)


def headline(rows: Sequence[Standing], cells: Sequence[Cell], other: str = "") -> str:
    """The answer in one line: of findings, else of timings, else ``other``."""
    judged = [s for s in rows if s.ready and s.tally.verdicts]
    if judged:
        good = sum(s.verdict == "conforms" for s in judged)
        return f"{good} of {len(judged)} targets conform{'s' * (good == 1)} to every MUST judged"
    if cells:
        good = sum(c.verdict == "conforms" for c in cells)
        return f"{good} of {len(cells)} timings have outputs that conform"
    return other or "Nothing was judged"


def text_of(value: Any) -> str:
    """A value of a record for a person."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(text_of(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {text_of(v)}" for k, v in value.items()) or "none"
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
