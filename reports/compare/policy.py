"""Which changes are regressions that fail a comparison, as --fail-on says."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bnspec.errors import UsageError
from bnspec.reports.compare.change import Change, Kind
from bnspec.reports.compare.comparison import Comparison, TargetComparison
from bnspec.reports.run.records import ratio_value

PolicyKind = Literal["must", "should", "slower", "bits"]
_SLOWER = re.compile(r"slower:([0-9]+(?:\.[0-9]+)?)")
#: What a policy speaks of: where nothing of it was compared, the policy could not have failed.
_NEEDS: dict[PolicyKind, Kind] = {"must": "verdict", "should": "verdict", "slower": "time", "bits": "bits"}


@dataclass(frozen=True)
class Policy:
    """One word of --fail-on. ``factor``: of slower."""

    kind: PolicyKind
    factor: float = math.inf

    def __str__(self) -> str:
        return self.kind if self.kind != "slower" else f"slower:{self.factor:g}"

    def fails(self, change: Change) -> bool:
        """Whether the change is a regression by this policy."""
        match self.kind:
            case "must" | "should":
                levels = ("MUST",) if self.kind == "must" else ("MUST", "SHOULD")
                return (
                    change.kind in ("target", "verdict") and change.direction == "regression" and change.level in levels
                )
            case "slower":
                return (
                    change.kind == "time"
                    and change.movement == "real"
                    and ratio_value(change.ratio_after) >= self.factor
                )
            case "bits":
                return change.kind == "bits"

    def applies(self, comparison: Comparison) -> bool:
        """Whether anything was compared that it speaks of."""
        needed = _NEEDS[self.kind]
        return any(c.kind == needed and c.both for p in comparison.pairs for c in p.coverage) or any(
            self.fails(c) for _, c in comparison.changes
        )


DEFAULT = (Policy("must"),)


def read_policies(words: Sequence[str]) -> tuple[Policy, ...]:
    """The policies of --fail-on. Raises UsageError: a word that is none."""
    return tuple(dict.fromkeys(map(_policy, words))) or DEFAULT


def _policy(word: str) -> Policy:
    if word == "must":
        return Policy("must")
    if word == "should":
        return Policy("should")
    if word == "bits":
        return Policy("bits")
    if (found := _SLOWER.fullmatch(word)) and float(found[1]) > 1.0:
        return Policy("slower", float(found[1]))
    raise UsageError(
        f"--fail-on {word!r} is no policy.",
        "policies are must, should, bits, and slower:FACTOR with a factor above 1.",
        "give for example --fail-on must --fail-on slower:1.2.",
    )


def regressions(comparison: Comparison, policies: Sequence[Policy]) -> list[tuple[TargetComparison, Change]]:
    """The changes that fail one of the policies."""
    return [(p, c) for p, c in comparison.changes if any(policy.fails(c) for policy in policies)]


def idle(comparison: Comparison, policies: Sequence[Policy]) -> list[Policy]:
    """The policies that had nothing to look at."""
    return [p for p in policies if not p.applies(comparison)]
