"""Verdicts that changed, by clause: counted over the cases that both sides judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bnspec.reports.compare.change import Change, Compared, Coverage, Direction, Excluded
from bnspec.reports.compare.judged import JudgedTarget, Outcome, saved, worst
from bnspec.reports.compare.operands import Pair
from bnspec.reports.run.records import Finding, TargetRecord, ratio_text
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import FAILING, Level

#: Reasons of exclusion that are said of a clause; further ones are counted together.
REASONS = 3
#: In what runs of equal cases agree.
SAME_CASES = ("seeds", "corpus_digest", "shard", "minutes")


def opened(pair: Pair) -> Compared:
    """Whether both targets opened, where one side did not."""
    records = [_record(pair.before), _record(pair.after)]
    a, b = (r.status if r else "ready" for r in records)
    if a == b:
        return Compared()
    direction: Direction = "regression" if a == "ready" else "repair" if b == "ready" else "change"
    message = next((r.reason for r in reversed(records) if r is not None and r.reason), "")
    level: Level | None = "MUST" if direction == "regression" else None
    change = Change(kind="target", what="opens", direction=direction, before=a, after=b, level=level, message=message)
    return Compared((change,))


def _record(side: tuple[Run, tuple[str, str]]) -> TargetRecord | None:
    run, place = side
    return next((t for t in run.targets if (t.backend, t.device) == place), None)


@dataclass(frozen=True)
class _Clause:
    """One clause on both sides: findings, and outcomes by case; a finding is None where that side has none."""

    pair: Pair
    findings: tuple[Finding | None, Finding | None]
    outcomes: tuple[Mapping[str, Outcome], Mapping[str, Outcome]]

    @property
    def judged(self) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
        """The outcomes that are judgements."""
        a, b = ({c: o for c, o in side.items() if o.judged} for side in self.outcomes)
        return a, b

    def change(self) -> Change | None:
        """The change over the cases that both judged; None where no case changed its verdict."""
        a, b = self.judged
        common = a.keys() & b.keys()
        worse = {c: b[c] for c in common if b[c].broken and not a[c].broken}
        better = {c: a[c] for c in common if a[c].broken and not b[c].broken}
        if not worse and not better:
            return None
        finding = self.findings[1] or self.findings[0]
        assert finding is not None, "cases are judged for findings"
        return Change(
            kind="verdict",
            what=finding.clause,
            direction="regression" if worse else "repair",
            level=finding.level,
            before=_words([a[c] for c in common]),
            after=_words([b[c] for c in common]),
            worse=len(worse),
            better=len(better),
            ratio_before=worst({c: a[c] for c in common})[1].ratio,
            ratio_after=worst({c: b[c] for c in common})[1].ratio,
            case=self.shown(worse, 1) if worse else self.shown(better, 0),
            example=worst(worse or better)[0],
            message=_message(worst(worse or better)[1]),
        )

    def shown(self, flipped: Mapping[str, Outcome], side: int) -> str | None:
        """A saved case that shows it: the smallest one, where the clause holds on the other side; else one that changed."""
        run = self.pair[side][0]
        own, other = self.findings[side], self.findings[1 - side]
        if own is not None and own.shrunk and (other is None or other.verdict not in FAILING):
            return own.shrunk
        return next((name for case in sorted(flipped) if (name := saved(run, case))), None)

    def alone(self, side: int) -> Counter[str]:
        """Why cases that one side judged have no judgement on the other, counted."""
        judged, other = self.judged[side], self.outcomes[1 - side]
        found: Counter[str] = Counter()
        where = "after" if side == 0 else "before"
        for case in judged.keys() - self.judged[1 - side].keys():
            outcome = other.get(case)
            found[f"declined {where}: {outcome.declined}" if outcome else f"not judged {where}"] += 1
        return found


def _words(outcomes: list[Outcome]) -> str:
    """What holds over these cases."""
    broken = sum(o.broken is not None for o in outcomes)
    return f"deviates in {broken} of {len(outcomes)}" if broken else f"conforms in {len(outcomes)}"


def _message(outcome: Outcome) -> str:
    return outcome.broken.message if outcome.broken else ""


def compared_by_case(pair: Pair, before: JudgedTarget, after: JudgedTarget) -> Compared:
    """The verdicts of all clauses, by case."""
    changes, excluded = [], Counter[str]()
    both = only = others = 0
    for clause, findings in _findings(pair).items():
        one = _Clause(pair, findings, (before.outcomes.get(clause, {}), after.outcomes.get(clause, {})))
        a, b = one.judged
        both, only, others = (
            both + len(a.keys() & b.keys()),
            only + len(a.keys() - b.keys()),
            others + len(b.keys() - a.keys()),
        )
        excluded += one.alone(0) + one.alone(1)
        if (change := one.change()) is not None:
            changes.append(change)
    coverage = Coverage("verdict", "judgements of a case by a clause", both, only, others)
    return Compared(tuple(changes), (coverage,), _excluded(excluded))


def _excluded(reasons: Counter[str]) -> tuple[Excluded, ...]:
    """The commonest reasons, and how many are behind the others."""
    listed = [Excluded("verdict", n, reason) for reason, n in reasons.most_common(REASONS)]
    if (rest := reasons.total() - sum(e.count for e in listed)) > 0:
        listed.append(Excluded("verdict", rest, f"{len(reasons) - len(listed)} other reasons"))
    return tuple(listed)


def _findings(pair: Pair) -> dict[str, tuple[Finding | None, Finding | None]]:
    """Both findings of each clause, in the order of the run after."""
    sides = [{f.clause: f for f in run.findings if (f.backend, f.device) == place} for run, place in pair]
    before, after = sides
    return {clause: (before.get(clause), after.get(clause)) for clause in {**after, **before}}


def compared_by_clause(pair: Pair) -> Compared:
    """The verdicts of all clauses as findings have them: for runs of equal cases that have no journal."""
    changes, judged, missing = [], 0, Counter[str]()
    for a, b in _findings(pair).values():
        if a is None or b is None or not (a.cases or a.verdict in FAILING) or not (b.cases or b.verdict in FAILING):
            missing[_missing(a, b)] += 1
            continue
        judged += 1
        if (a.verdict in FAILING) == (b.verdict in FAILING):
            continue
        failing = b if b.verdict in FAILING else a
        changes.append(
            Change(
                kind="verdict",
                what=b.clause,
                direction="regression" if failing is b else "repair",
                level=b.level,
                before=f"{a.verdict} ({ratio_text(a.ratio)})",
                after=f"{b.verdict} ({ratio_text(b.ratio)})",
                worse=b.failures,
                better=a.failures,
                ratio_before=a.ratio,
                ratio_after=b.ratio,
                case=failing.shrunk or failing.case,
                message=failing.message,
            )
        )
    return Compared(tuple(changes), (Coverage("verdict", "clauses", judged),), _excluded(missing))


def _missing(a: Finding | None, b: Finding | None) -> str:
    sides = [("before", a), ("after", b)]
    return ", ".join(f"{f.verdict if f else 'not asked'} {when}" for when, f in sides if f is None or not f.cases)


def other_cases(a: Run, b: Run) -> str:
    """Why two runs have different cases, as far as their manifests say; empty where they have the same."""
    differ = [n for n in ("seed", "effort", "bnspec") if getattr(a.manifest, n) != getattr(b.manifest, n)]
    differ += [n for n in SAME_CASES if a.manifest.options.get(n) != b.manifest.options.get(n)]
    return f"they differ in {', '.join(differ)}" if differ else ""


def compared_verdicts(pair: Pair, before: JudgedTarget | None, after: JudgedTarget | None) -> Compared:
    """Case by case where both runs have journals; else by clause, where the cases are the same."""
    sides = [any((f.backend, f.device) == place for f in run.findings) for run, place in pair]
    if not any(sides):
        return Compared()
    if not all(sides):
        when = "before" if sides[1] else "after"
        return Compared(excluded=(Excluded("verdict", 0, f"nothing was verified {when}"),))
    if before is not None and after is not None:
        return compared_by_case(pair, before, after)
    if why := other_cases(pair.before[0], pair.after[0]):
        clauses = len(_findings(pair))
        reason = f"the cases are others, and one of the runs has no journal to compare them one by one: {why}"
        return Compared(coverage=(Coverage("verdict", "clauses", 0),), excluded=(Excluded("verdict", clauses, reason),))
    return compared_by_clause(pair)
