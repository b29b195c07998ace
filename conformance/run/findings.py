"""The findings of a target: each tally as a record, with its worst and its smallest case saved where it deviates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bnspec.backends.harness.launcher import Hello
from bnspec.backends.harness.targets import Target
from bnspec.clauses import CLAUSES, Clause
from bnspec.conformance.judge.collector import COMPLETES, KnownLookup, nothing_known
from bnspec.conformance.judge.finding import finding_of, placed
from bnspec.conformance.judge.tally import Judged, Tally
from bnspec.conformance.run.smallest import Observe, OpenProcess, smallest
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.reports.run.records import Finding, TargetRecord
from bnspec.reports.run.store import RunWriter
from bnspec.reports.run.targets import opened_target
from bnspec.reports.run.vocabulary import FAILING

#: Of the time for shrinking, what a known deviation gets: its smallest case has been published.
KNOWN_SHARE = 1 / 3


@dataclass(frozen=True)
class FindingWriter:
    """Makes the findings of a target.

    Attributes:
        observe: runs a case on the target.
        shrink_seconds: time for shrinking the case of one clause, by the clock.
        open_process: opens another process of the target, to see what a new deviation from a MUST or SHOULD needs of it, None where
            that is not wanted; earlier: the cases of the run before the one of this number.
        progress: called with what is being done.
        clock: in seconds, of the searches.
        known: the known deviations of the target.
        smallest_cases: by clause, the smallest case that deviates, once its finding is made.
    """

    target: Target
    conventions: Conventions
    writer: RunWriter
    observe: Observe
    shrink_seconds: float
    progress: Callable[[str], None]
    open_process: OpenProcess | None
    earlier: Callable[[int], Sequence[Case]]
    clock: Callable[[], float] = time.monotonic
    known: KnownLookup = nothing_known
    smallest_cases: dict[str, Case] = field(default_factory=dict)

    def findings(self, tallies: Mapping[str, Tally[Judged]], made: Mapping[str, Finding]) -> list[Finding]:
        """One finding for each clause, written as it is made. ``made``: those of an interrupted run, by clause."""
        found = []
        for clause, tally in tallies.items():
            earlier = made.get(clause)
            if earlier is not None and self.recalled(earlier, tally):
                found.append(earlier)
                continue
            finding = self.finding(clause, tally)
            self.writer.write(finding)
            found.append(finding)
        return found

    def recalled(self, finding: Finding, tally: Tally[Judged]) -> bool:
        """Whether a finding is that of the tally, and its smallest case can be read."""
        counts = (finding.verdict, finding.cases, finding.failures, finding.declined)
        if counts != (tally.verdict, tally.cases, tally.failures, tally.declined):
            return False
        if finding.shrunk is not None and finding.clause != COMPLETES:
            try:
                case = Case.loads((self.writer.path / finding.shrunk).read_text("utf-8"))
            except (OSError, ValueError, UsageError):
                return False
            self.smallest_cases[finding.clause] = case
        return True

    def finding(self, clause: str, tally: Tally[Judged]) -> Finding:
        """The tally as a finding."""
        name, device = self.target.entry.name, self.target.device
        if tally.verdict not in FAILING or tally.smallest is None:
            return finding_of(clause, tally, name, device)
        assert tally.worst is not None
        worst = self.writer.save_case(tally.worst.case)
        if clause == COMPLETES:
            shrunk = self.writer.save_case(tally.smallest.case)
            return finding_of(clause, tally, name, device, case=worst, shrunk=shrunk)
        self.progress(f"shrinking {clause}")
        known = tally.covered == tally.failures
        case, judgement = smallest(
            clause,
            tally.smallest,
            self.observe,
            self.conventions,
            self.shrink_seconds * (KNOWN_SHARE if known else 1.0),
            None if known or CLAUSES[clause].level == "MAY" else self.open_process,
            self.earlier(tally.smallest.order),
            self.smallest_cases.values(),
            self.clock,
            self.known,
        )
        self.smallest_cases[clause] = case
        shrunk = self.writer.save_case(case)
        judgement = placed(judgement, case)
        return finding_of(clause, tally, name, device, case=worst, shrunk=shrunk, judgement=judgement)


def unavailable(target: Target, clause: Clause, hello: Hello) -> Finding:
    """The finding of a target that did not open."""
    message = f"{hello.status}: {hello.reason}"
    place = target.entry.name, target.device
    return Finding(clause.id, clause.family, clause.level, *place, "unavailable", 0, 0, 0, None, message)


def target_record(target: Target, hello: Hello) -> TargetRecord:
    """What the target declared when it was opened."""
    return opened_target(target.entry.name, target.device, hello)
