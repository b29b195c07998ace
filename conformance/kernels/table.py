"""A verdict on a terminal: one line, and what stands behind it."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.conformance.kernels.budget import Budget
from bnspec.conformance.kernels.verdict import Verdict, compiled_line, declined, line
from bnspec.reports.run.records import Finding
from bnspec.terminal.console import indented, terminal, verbatim

#: Broken clauses and reasons that are shown.
SHOWN = 5


def print_verdict(verdict: Verdict) -> None:
    """Print the verdict's line, the first broken clauses, what was declined, and the run's path."""
    console = terminal()
    indented(console, line(verdict))
    if verdict.recognised.kernel.replaced:
        indented(
            console,
            f"  constants and attributes with the cases' values: {', '.join(verdict.recognised.kernel.replaced)}",
        )
    if verdict.said.supplied:
        indented(console, f"  computed in the kernel's place: {', '.join(verdict.said.supplied)}")
    if verdict.said.unjudged:
        indented(console, f"  not judged: {'; '.join(verdict.said.unjudged)}")
    if verdict.compiled is not None:
        indented(console, f"  {compiled_line(verdict.compiled)}")
    for finding in verdict.broken[:SHOWN]:
        indented(console, f"  {finding.level} {finding.clause}: {finding.message or finding.verdict}")
    if len(verdict.broken) > SHOWN:
        verbatim(console, f"  and {len(verdict.broken) - SHOWN} more: bnspec report {verdict.run.path}")
    if verdict.smallest:
        verbatim(console, f"  each step, expected and got: bnspec replay {verdict.smallest}")
    if verdict.budget.left_out:
        indented(console, f"  {left_out(verdict.budget)}")
    reasons = declined(verdict.run.findings)
    if reasons:
        indented(
            console, f"  declined, each clause on each case counted once; judged were {judged(verdict.run.findings)}:"
        )
    for reason in reasons[:SHOWN]:
        indented(console, f"    {reason['judgements']}: {reason['reason']}")
    if len(reasons) > SHOWN:
        verbatim(console, f"    and {len(reasons) - SHOWN} reasons more: --json lists them")
    verbatim(console, f"\n{verdict.run.path}")


def judged(findings: Sequence[Finding]) -> int:
    """How often a clause was judged on a case."""
    return sum(finding.cases for finding in findings)


def left_out(budget: Budget) -> str:
    """What was not asked for lack of time."""
    shape = "x".join(map(str, budget.largest)) or "nothing"
    return f"left out for lack of time, as the kernel is slow here: {budget.left_out} case{'s' * (budget.left_out != 1)}, larger or more of the same; the largest x that was asked: {shape}"
