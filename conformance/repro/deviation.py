"""What a script is made from: a finding with its case, its typed evidence, and what the backend declared."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.errors import UsageError
from bnspec.model.case import PARAMETERS, Case, Step
from bnspec.model.conventions import Conventions
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.run.records import Finding, TargetRecord


@dataclass(frozen=True)
class Deviation:
    """A finding, the case that shows it, and the target as the run has it on record.

    Attributes:
        evidence: of the finding. A process that died in the case has left none but where: the script performs every step.
        formula: of the expected value, for people. rest: what float64 cannot hold of it.
        conventions: what the backend declared; None where another version wrote it, which this one cannot read.
    """

    finding: Finding
    case: Case
    target: TargetRecord
    evidence: Evidence
    formula: str = ""
    rest: float = 0.0
    conventions: Conventions | None = None

    @property
    def step(self) -> int:
        """The step of the evidence."""
        return self.evidence.step

    @property
    def call(self) -> Step:
        """The call of the evidence."""
        return self.case.steps[self.step]

    @property
    def output(self) -> str:
        """The output of the evidence."""
        return self.evidence.output or "y"

    @property
    def built(self) -> Case:
        """The case as the layer of the evidence's step was built."""
        return self.case.overridden(self.case.overrides(self.step))

    @property
    def whole_call(self) -> str:
        """The output that stands for all that the call does: how it ends, and what it writes to."""
        return "state" if self.call.call.has_gradients else "y"

    def compared_with(self) -> int:
        """The step that is the other side of the relation. Raises NoScript: the evidence names none."""
        other = self.evidence.compared_with
        if other is None:
            raise NoScript("the evidence does not say which two calls it compares")
        return other

    def element(self) -> tuple[int, ...]:
        """The index of the element. Raises NoScript: the evidence names none."""
        if self.evidence.index is None:
            raise NoScript("the evidence does not say which element deviates")
        return self.evidence.index

    def channel(self) -> int:
        """The channel of the evidence's element, or the channel that is its index."""
        index = self.element()
        return index[0] if len(index) == 1 else index[self.built.config.channel_axis]

    def number(self, value: float | str | None, what: str) -> float:
        """A number of the evidence. Raises NoScript: it has none, or one that nothing can be compared with."""
        try:
            if value is not None and math.isfinite(float(value)):
                return float(value)
        except ValueError:  # a name, where a number is wanted
            pass
        raise NoScript(f"the evidence has the {what} {value}, which no element can be compared with")

    @property
    def expected(self) -> float:
        """The expected number."""
        return self.number(self.evidence.expected, "expected value")

    @property
    def bound(self) -> float:
        """The bound on the error."""
        return self.number(self.evidence.bound, "bound")

    def may_raise(self, step: Step) -> bool:
        """Whether a step on the way ends with an exception, by the case and by what the backend declares."""
        if step.refused or not step.inputs:
            return step.refused
        count = self.case.arrays[step.inputs[0]].size // max(self.case.config.channels, 1)
        declared = self.target.conventions
        policy = {0: declared.get("empty_batch"), 1: declared.get("count_one")}.get(count)
        return policy == "raises" and step.call.mode == "training"


#: What a call gives or moves, by the names that evidence has for it.
OUTPUTS = ("y", "x", "dx", "dgamma", "dbeta", "by_x", "by_dy", "by_gamma", "third", "along", "mean", "var", "loss")


def _is_named(name: str, case: Case) -> bool:
    """Whether a name of evidence is an output, a parameter, a part of the state, or an array of the case."""
    return name in (*OUTPUTS, *PARAMETERS) or name in case.arrays


def deviation_of(finding: Finding, case: Case, target: TargetRecord) -> Deviation:
    """The finding with its case. Raises NoScript: it has no evidence."""
    evidence = finding.evidence
    if finding.verdict in ("crashed", "timeout"):
        last = len(case.steps) - 1
        evidence = Evidence(step=last, call=case.steps[last].call.name, relation="completes")
    if evidence is None:
        raise NoScript("no evidence was recorded with it")
    unknown = [n for n in (evidence.output, *evidence.names) if n is not None and not _is_named(n, case)]
    if unknown:
        raise NoScript(f"its evidence names {unknown[0]}, which is neither an output nor an array of its case")
    for step in (evidence.step, evidence.compared_with or 0):
        if step >= len(case.steps):
            raise NoScript(f"its evidence is of step {step}, and its case has {len(case.steps)} steps")
    try:
        conventions = Conventions.from_json(target.conventions)
    except (UsageError, TypeError):  # of another version, or of anybody
        conventions = None
    return Deviation(finding, case, target, evidence, conventions=conventions)
