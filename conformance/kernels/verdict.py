"""The verdict on a kernel: a grade, and everything behind it as one document."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from bnspec.backends.kernels.harness.found import Compiled, Found
from bnspec.backends.kernels.harness.recognise import Recognised
from bnspec.cli import CONFORMS, DEVIATES
from bnspec.conformance.conventions.outcome import Outcome
from bnspec.conformance.conventions.plan import Inference
from bnspec.conformance.judge.collector import ACCEPTS
from bnspec.conformance.kernels.budget import Budget
from bnspec.model.conventions import Conventions
from bnspec.reports.run.codec import plain
from bnspec.reports.run.records import Finding, Timing, ratio_text, ratio_value
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import FAILING
from bnspec.reports.summary.counts import time_text

#: A: every MUST and SHOULD that was judged conforms. B: every MUST does. F: a MUST is broken, or the times are not of the work.
Grade = Literal["A", "B", "F"]
#: The clauses about what a kernel computes, from which others follow, in the order in which they are said.
BASIC = (
    "purity.arguments",
    "training.output",
    "inference.output",
    "contract.stays_in_its_buffers",
    "running.mean",
    "running.var",
    "gradient.training_dx",
    "gradient.training_dgamma",
    "gradient.training_dbeta",
    "gradient.inference_dx",
    "gradient.inference_parameters",
)
UNTIMED = ("declined", "unavailable")
#: How a case ends without a result, in words.
ENDS = {
    "crashed": "crashed",
    "timeout": "timed out",
    "error": "raised",
    "not_run": "never run",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        seed: of the generated data; repeats the judgement.
        run: the run directory, read back. inference, conventions: what was inferred, and what the kernel was judged by.
        compiled: for devices that are not here, and not run; None where that is not asked.
        budget: which cases were left out for lack of time.
        said: what its worker said of it.
        grade, status, ratio, broken, ended, smallest: the exit status, the worst error / bound of what is required, the broken clauses, MUST first, the cases without
            a result, and the smallest case that breaks one.
    """

    recognised: Recognised
    seed: int
    run: Run
    inference: Inference
    conventions: Conventions
    compiled: Found | None = None
    budget: Budget = dataclasses.field(default_factory=lambda: Budget(math.inf))
    said: Found = dataclasses.field(default_factory=Found)

    @property
    def broken(self) -> list[Finding]:
        return broken_of(self.run.findings)

    @property
    def grade(self) -> Grade:
        return grade_of(self.run.findings, self.run.timings)

    @property
    def status(self) -> int:
        """The exit status."""
        return status_of(self.run.findings, self.run.timings)

    @property
    def ratio(self) -> float | str | None:
        ratios = [f.ratio for f in self.run.findings if f.ratio is not None and f.level != "MAY"]
        return max(ratios, key=ratio_value, default=None)

    @property
    def ended(self) -> dict[str, int]:
        """Cases without a result that it owed, by how they ended: "crashed", "timeout", "error" or "not_run"."""
        counts: Counter[str] = Counter()
        for target in self.run.targets_finished:
            counts.update(target.cases)
        # a case of which some calls raised and others were declined has ended as "ok"
        counts["error"] = sum(f.failures for f in self.run.findings if f.clause == ACCEPTS)
        return {name: counts[name] for name in ENDS if counts[name]}

    @property
    def smallest(self) -> Path | None:
        level = next((f.level for f in self.broken), "")
        saved = [self.run.path / f.shrunk for f in self.broken if f.shrunk and f.level == level]
        return min(saved, key=lambda path: path.stat().st_size, default=None)


def broken_of(findings: Sequence[Finding]) -> list[Finding]:
    """The broken clauses that require something: MUST first, those about one result before those that follow from it, the largest error
    first."""
    failing = [f for f in findings if f.verdict in FAILING and f.level != "MAY"]
    place = {clause: number for number, clause in enumerate(BASIC)}
    return sorted(
        failing,
        key=lambda f: (f.level != "MUST", place.get(f.clause, len(BASIC)), -ratio_value(f.ratio)),
    )


def grade_of(findings: Sequence[Finding], timings: Sequence[Timing]) -> Grade:
    """The grade."""
    broken = broken_of(findings)
    if any(f.level == "MUST" for f in broken) or any(fails(t) for t in timings):
        return "F"
    return "B" if broken else "A"


def status_of(findings: Sequence[Finding], timings: Sequence[Timing]) -> int:
    """0: grade A or B; 1: grade F."""
    return DEVIATES if grade_of(findings, timings) == "F" else CONFORMS


def fails(timing: Timing) -> bool:
    """Whether a pass that the kernel offers was not done as it was timed, or was wrong."""
    return timing.verdict not in ("conforms", *UNTIMED)


def line(verdict: Verdict) -> str:
    """The verdict in one line."""
    said = f"{verdict.grade}: {verdict.recognised.entry.name}, {verdict.recognised.words}, {outcome(verdict)}"
    times = ", ".join(f"{t.pass_name} {time_text(t.median_ns)}" for t in verdict.run.timings if t.median_ns)
    smallest = f"; smallest case {verdict.smallest}" if verdict.smallest else ""
    return f"{said}; {times or 'not timed'}; seed {verdict.seed}{smallest}"


def outcome(verdict: Verdict) -> str:
    """Whether it conforms, and the first clause that it breaks."""
    judged, broken = [f for f in verdict.run.findings if f.cases], verdict.broken
    if verdict.grade == "A":
        return f"conforms to all {len(judged)} clauses judged, worst error / bound {ratio_text(verdict.ratio)}"
    if verdict.grade == "B":
        return f"conforms to every MUST, and breaks {len(broken)} of {len(judged)} clauses, {broken[0].clause} first"
    if broken and broken[0].level == "MUST":
        count = sum(f.level == "MUST" for f in broken)
        ended = "".join(f", {n} case{'s' * (n > 1)} {ENDS[name]}" for name, n in verdict.ended.items())
        return f"deviates: breaks {count} MUST of {len(judged)} clauses, {broken[0].clause} first{ended}"
    timing = next(t for t in verdict.run.timings if fails(t))
    return f"deviates: {timing.pass_name} as it was timed: {timing.message or timing.verdict}"


def document(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON-ready data."""
    kernel = verdict.recognised.kernel
    return {
        "kernel": {
            "name": verdict.recognised.entry.name,
            "form": kernel.form,
            "arrays": kernel.arrays,
            "backward": kernel.backward or None,
            "interpreted": kernel.interpreted or None,
            "run_by": kernel.run_by or None,
            "replaced": list(kernel.replaced),
            "supplied": verdict.said.supplied,
            "unjudged": verdict.said.unjudged,
        },
        "grade": verdict.grade,
        "line": line(verdict),
        "ratio": plain(verdict.ratio),
        "seed": verdict.seed,
        "conventions": verdict.conventions.to_json(),
        "inferred": {o.field: plain(o.value) for o in verdict.inference.outcomes if o.is_inferred},
        "undecided": {o.field: o.reason for o in undecided(verdict.inference)},
        "timings": [timing_document(t) for t in verdict.run.timings],
        "compiled": compiled_document(verdict.compiled),
        "broken": [broken_document(f, verdict.run.path) for f in verdict.broken],
        "smallest_case": str(verdict.smallest) if verdict.smallest else None,
        "ended": verdict.ended,
        "judged": sum(1 for f in verdict.run.findings if f.cases),
        "declined": declined(verdict.run.findings),
        "left_out": verdict.budget.left_out,
        "largest": list(verdict.budget.largest),
        "run": str(verdict.run.path),
    }


def compiled_document(found: Found | None) -> dict[str, Any] | None:
    """What was compiled and not run; None where that is not asked."""
    if found is None:
        return None
    return {
        "label": "compiled, not run",
        "kernels": [msgspec.to_builtins(c) for c in found.compiled],
        "failed": found.failed or None,
    }


def compiled_line(found: Found) -> str:
    """What was compiled and not run, in one line."""
    if not found.compiled:
        return f"compiled, not run: nothing, since {found.failed or 'there is no kernel'}"
    targets = dict.fromkeys(c.target for c in found.compiled)
    return "compiled, not run: " + "; ".join(f"{t}: {target_words(found.compiled, t)}" for t in targets)


def target_words(compiled: Sequence[Compiled], target: str) -> str:
    """The instructions of all kernels for a device."""
    here = [c for c in compiled if c.target == target]
    if failed := next((c for c in here if c.failed), None):
        return f"{failed.kernel} does not compile: {failed.failed}"
    approximate, corrected, fused = (
        sum((Counter(getattr(c, n)) for c in here), Counter()) for n in ("approximate", "corrected", "fused")
    )
    words = [f"approximate {counts_text(approximate)}" if approximate else "nothing approximate"]
    if corrected:
        words.append(f"corrected by {counts_text(corrected)}")
    words.append(f"fused {counts_text(fused)}" if fused else "nothing fused")
    if any(c.flushes_to_zero for c in here):
        words.append("flushes to zero")
    return ", ".join(words)


def counts_text(counts: Mapping[str, int]) -> str:
    """Instructions with how often they stand in the text."""
    return " ".join(f"{name} x{n}" if n > 1 else name for name, n in sorted(counts.items()))


def undecided(inference: Inference) -> Sequence[Outcome]:
    """The conventions of which several values are left."""
    return [o for o in inference.outcomes if o.observable and not o.is_inferred]


def timing_document(timing: Timing) -> dict[str, Any]:
    """A timed pass with the error of what was timed."""
    return {
        "pass": timing.pass_name,
        "shape": list(timing.shape),
        "dtype": timing.dtype,
        "median_ns": timing.median_ns,
        "first_ns": timing.first_ns,
        "verdict": timing.verdict,
        "ratio": plain(timing.ratio),
        "message": timing.message,
    }


def broken_document(finding: Finding, run: Path) -> dict[str, Any]:
    """A broken clause."""
    return {
        "clause": finding.clause,
        "level": finding.level,
        "verdict": finding.verdict,
        "ratio": plain(finding.ratio),
        "message": finding.message,
        "failures": finding.failures,
        "cases": finding.cases,
        "case": str(run / finding.shrunk) if finding.shrunk else None,
    }


def declined(findings: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """What the kernel does not offer: each reason, how many judgements (a clause on a case) it left out, and the clauses of which nothing
    was judged for it."""
    judgements: Counter[str] = Counter()
    clauses: dict[str, list[str]] = {}
    for finding in findings:
        for reason in finding.reasons:
            judgements[reason.reason] += reason.cases
            if not finding.cases:
                clauses.setdefault(reason.reason, []).append(finding.clause)
    return [{"reason": r, "judgements": n, "clauses": clauses.get(r, [])} for r, n in judgements.most_common()]
