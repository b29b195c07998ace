"""What the records add up to: marks for verdicts, tallies of findings, and the standing of each target. No I/O."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from bnspec.errors import UsageError
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.fields import Ratio
from bnspec.reports.run.records import Finding, TargetRecord, ratio_value, target_name
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import LEVELS, ComparisonVerdict, FindingVerdict, Verdict
from bnspec.reports.summary.causes import count_sentence
from bnspec.reports.summary.declined import much_declined
from bnspec.reports.summary.excerpt import Excerpt


@dataclasses.dataclass(frozen=True)
class Mark:
    """How a verdict looks: a symbol, its twin in ASCII, a word, and the class of the page's style sheet."""

    symbol: str
    ascii: str
    word: str
    style: str


#: In order of weight: of several findings the first of these is what a summary shows.
MARKS: dict[Verdict, Mark] = {
    "deviates": Mark("✗", "X", "deviates", "bad"),
    "rejected": Mark("✗", "X", "rejected", "bad"),
    "crashed": Mark("!", "!", "crashed", "broken"),
    "timeout": Mark("!", "!", "timed out", "broken"),
    "error": Mark("!", "!", "error", "broken"),
    "conforms": Mark("✓", "ok", "conforms", "good"),
    "declined": Mark("–", "-", "declined", "quiet"),
    "not_exercised": Mark("?", "?", "not exercised", "quiet"),
    "unavailable": Mark("∅", ".", "unavailable", "quiet"),
}
#: What a comparison says of the candidate.
COMPARISON_MARKS: dict[ComparisonVerdict, Mark] = {
    "FASTER": Mark("▲", "<", "faster", "good"),
    "SLOWER": Mark("▼", ">", "slower", "bad"),
    "SAME": Mark("=", "=", "same", "quiet"),
    "AMBIGUOUS": Mark("?", "?", "ambiguous", "quiet"),
}
BROKEN: tuple[FindingVerdict, ...] = ("crashed", "timeout")


@dataclasses.dataclass(frozen=True)
class Tally:
    """Findings counted by verdict, with the worst ratio among them."""

    verdicts: Counter[Verdict]
    ratio: Ratio

    @property
    def verdict(self) -> Verdict:
        """The weightiest verdict, or "not_exercised" of nothing."""
        return next((v for v in MARKS if self.verdicts[v]), "not_exercised")

    @property
    def judged(self) -> int:
        """How many clauses were judged."""
        return self.verdicts["conforms"] + self.verdicts["deviates"]


def tally(findings: Iterable[Finding]) -> Tally:
    """Count findings."""
    listed = list(findings)
    ratios = [f.ratio for f in listed if f.ratio is not None]
    return Tally(Counter(f.verdict for f in listed), max(ratios, key=ratio_value, default=None))


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a target stands in a run.

    Attributes:
        target: ``backend@device``; record: what opened, None where the run did not say.
        tally: of all clauses; levels: of those of each level.
        known: how many of the MUST deviations are known.
        declined: that much was declined, in words; empty where it was not.
        finished: its share of the run is complete.
        causes: what is behind what fails; cases: by how they ended, once the target's share of the run is complete.
    """

    target: str
    record: TargetRecord | None
    tally: Tally
    levels: dict[str, Tally]
    known: int
    declined: str
    finished: bool
    causes: Sequence[Cause] = ()
    cases: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def never_run(self) -> str:
        """How many cases were never run, in words; empty where all were."""
        count = self.cases.get("not_run", 0)
        return f"{count} of {sum(self.cases.values())} cases never ran" if count else ""

    @property
    def ready(self) -> bool:
        """Whether the target could be opened."""
        return self.record is None or self.record.status == "ready"

    @property
    def verdict(self) -> FindingVerdict:
        """The target's verdict as a whole: only a MUST makes it deviate."""
        must = self.levels["MUST"]
        if not self.ready:
            return "unavailable"
        if must.verdicts["deviates"]:
            return "deviates"
        broken = next((v for v in BROKEN if self.tally.verdicts[v]), None)
        return broken or ("conforms" if must.judged else "not_exercised")

    @property
    def sentence(self) -> str:
        """The standing in words."""
        must, should = self.levels["MUST"].verdicts["deviates"], self.levels["SHOULD"].verdicts["deviates"]
        broken = sum(self.tally.verdicts[v] for v in BROKEN)
        if not self.ready and self.record:
            return f"{self.record.status}: {self.record.reason}"
        parts = [f"violates {must} MUST" + (f" ({self.known} known)" if self.known else "")] if must else []
        parts += [f"{broken} clause{'s' * (broken > 1)} without an answer (crashed or timed out)"] if broken else []
        if not parts:
            parts = ["conforms to every MUST judged" if self.levels["MUST"].judged else "no MUST was judged"]
        parts += [f"{should} SHOULD not met"] if should else []
        parts += [self.declined] if self.declined else []
        parts += [self.never_run] if self.never_run else []
        parts += [] if self.finished else ["unfinished"]
        causes = count_sentence(self.causes)
        return f"{causes}: {', '.join(parts)}" if causes else ", ".join(parts)


def standings(run: Run) -> list[Standing]:
    """Every target of the run that has a record or findings, in the order in which they appear."""
    records = {target_name(t): t for t in run.targets}
    by_target: dict[str, list[Finding]] = {name: [] for name in records}
    for finding in run.findings:
        by_target.setdefault(target_name(finding), []).append(finding)
    cases = {target_name(t): t.cases for t in run.targets_finished}
    causes: dict[str, list[Cause]] = {}
    for cause in run.causes:
        causes.setdefault(target_name(cause), []).append(cause)
    return [
        Standing(
            name,
            records.get(name),
            tally(found),
            {level: tally(f for f in found if f.level == level) for level in LEVELS},
            sum(bool(f.known) for f in found if f.level == "MUST" and f.verdict == "deviates"),
            much_declined(found),
            run.complete or name in cases,
            causes.get(name, []),
            cases.get(name, {}),
        )
        for name, found in by_target.items()
    ]


def weightiest(rows: Sequence[Standing], most: int) -> Excerpt[Standing]:
    """The first rows where there are too many: those that break most, in the order in which they appeared."""
    if len(rows) <= most:
        return Excerpt(rows)
    broken = sorted(range(len(rows)), key=lambda k: (-rows[k].levels["MUST"].verdicts["deviates"], rows[k].ready, k))
    return Excerpt([rows[k] for k in sorted(broken[:most])], len(rows) - most)


def families(findings: Sequence[Finding]) -> list[str]:
    """The families in the order in which they appear."""
    return list(dict.fromkeys(f.family for f in findings))


def deviations(findings: Sequence[Finding]) -> list[Finding]:
    """What deviates, MUST before SHOULD before MAY, worst ratio first."""
    found = [f for f in findings if f.verdict == "deviates"]
    return sorted(found, key=lambda f: (LEVELS.index(f.level), -ratio_value(f.ratio), f.clause, target_name(f)))


def named(findings: Sequence[Finding], patterns: Sequence[str]) -> list[Finding]:
    """The deviations of the clauses or families, on the backends or targets, that CLAUSE or CLAUSE@BACKEND name; globs are taken.

    Raises UsageError: a pattern that no finding matches.
    """
    chosen: dict[int, Finding] = {}
    for pattern in patterns:
        clause, _, backend = pattern.partition("@")
        found = {id(f): f for f in findings if _matches(f, clause, backend)}
        if not found:
            raise UsageError(
                f"no finding matches {pattern!r}.",
                "a finding is named by its clause or family, and by @ and its backend where only that is meant.",
                "name one that the report shows, for example 'running.*' or 'running.var@torch.nn'.",
            )
        chosen |= found
    return deviations(list(chosen.values()))


def _matches(finding: Finding, clause: str, backend: str) -> bool:
    if not any(fnmatchcase(name, clause) for name in (finding.clause, finding.family)):
        return False
    names = finding.backend, target_name(finding)  # brackets in the name of a backend are part of it
    return not backend or any(name == backend or fnmatchcase(name, backend) for name in names)


def shade(ratio: Ratio) -> int:
    """How strongly a ratio is tinted, 0 to 100: logarithmic, from 1e-4 to 1 where it conforms and from 1 to 1e6 beyond."""
    value = ratio_value(ratio)
    if not value > 0:
        return 0
    if math.isinf(value):
        return 100
    digits = math.log10(value)
    share = digits / 6 if value > 1 else (digits + 4) / 4
    return round(100 * min(max(share, 0.0), 1.0))


def time_text(ns: float | None) -> str:
    """A duration for a person, three digits and a unit."""
    if ns is None:
        return ""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns / size < 999.5 else f"{ns / size:.0f} {unit}"
    return f"{ns:.3g} ns"
