"""What a script shows: a finding with its case, and the lines that look at a result."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.reports.run.records import Finding

Lines = Callable[[Writer], list[str]]


@dataclass(frozen=True)
class Look:
    """What of a case is shown.

    Attributes:
        names: for each step that is looked at, the variable of its y.
        wanted: the output that is looked at ("state": both running statistics).
        after: lines that look.
        before: lines right before the last step; between: right after the first that is looked at.
        raises: the class of the exception that is the deviation; "*": that none comes is.
    """

    names: Mapping[int, str]
    wanted: str
    after: Lines
    before: Lines = lambda writer: []
    between: Lines = lambda writer: []
    raises: str = ""

    @property
    def last(self) -> int:
        """The last step that is performed."""
        return max(self.names)


@dataclass(frozen=True)
class Shown:
    """A finding with its case, what its evidence says, and the formula of its output.

    Attributes:
        rest: what float64 cannot hold of the expected value.
        conventions: what the backend declared, where it can be read.
    """

    finding: Finding
    case: Case
    formula: str
    rest: float = 0.0
    conventions: Conventions | None = None

    @property
    def evidence(self) -> Mapping[str, Any]:
        """The finding's evidence."""
        evidence: dict[str, Any] = msgspec.to_builtins(self.finding.evidence) if self.finding.evidence else {}
        return evidence

    @property
    def step(self) -> int:
        """The step of the evidence."""
        return int(self.evidence.get("step", 0))

    @property
    def output(self) -> str:
        """The output of the evidence."""
        return str(self.evidence.get("output", "y"))

    @property
    def index(self) -> str:
        """The element of the evidence, as it is written between brackets."""
        return ", ".join(str(k) for k in self.evidence.get("index", ())) or "..."

    def call(self, i: int) -> Step:
        """The i-th call."""
        return self.case.steps[i]

    @property
    def seen(self) -> Case:
        """The case as the layer of the evidence's step sees it."""
        return self.case.overridden(self.case.overrides(self.step))

    def other(self) -> int:
        """The earlier step that the message compares with."""
        found = re.search(r"step (\d+)", self.finding.message)
        if not found:
            raise NoScript("the finding does not say which two calls it compares")
        return int(found.group(1))


def known_of(finding: Finding) -> str:
    """The known deviations that cover a finding, as "class: reason"; empty where none does."""
    return "; ".join(f"{k.kind}: {k.reason}" for k in finding.known)


def variable(writer: Writer, output: str, y: str = "y") -> str:
    """The expression of an output, of which y (and the x of an inverse) has the given name."""
    return y if output in ("y", "x") else writer.variable(output)


def decimal(text: object) -> str:
    """A recorded number as source text. Raises NoScript: it is not finite."""
    if not math.isfinite(float(str(text))):
        raise NoScript(f"the finding expects {text}, which no element can be compared with")
    return str(text)


def compared(bound: str) -> list[str]:
    """Lines that print got and expected and end with 1 where they differ by more than the bound."""
    ratio = (
        '"error/bound", abs(got - expected) / bound' if float(bound) else '"error", abs(got - expected), "bound", bound'
    )
    return [f'print("got", got, "expected", expected, {ratio})', "sys.exit(not abs(got - expected) <= bound)"]


def within_bound(shown: Shown) -> Look:
    """One element: its error, against the bound."""
    e, clause = shown.evidence, shown.finding.clause
    expected, bound = decimal(e["expected"]), decimal(e["bound"])

    def lines(writer: Writer) -> list[str]:
        got = writer.element(variable(writer, shown.output), shown.index)
        rest = [f"rest = {shown.rest!r}  # what float64 cannot hold of it"] if shown.rest else []
        error = f"abs(got - expected{' - rest' if rest else ''})"
        ratio = f', "error/bound", {error} / bound' if float(bound) else f', "error", {error}, "bound", bound'
        return [
            f"expected = {expected}  # {shown.formula}, in quad precision",
            *rest,
            f"bound = {bound}  # on the rounding errors of this element: {clause}",
            f"got = {got}",
            f'print("got", got, "expected", expected{ratio})',
            f"sys.exit(not {error} <= bound)",
        ]

    return Look({shown.step: "y"}, shown.output, lines)
