"""Halving over ordered releases: the first whose answer differs from that of the oldest. Pure: a probe is a function.

    probe the oldest and the newest release that can be built
    while releases lie between the last with the old answer and the first with another: probe the middle one
    check, twice on each side of the change: probe the middle of the widest gap without a probe

Halving assumes that the answer changes once. The checks look for a second change; one between two probes that agree escapes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

#: What an answer is asked for: an end, a halving, or a check.
Purpose = Literal["end", "halving", "check"]


@dataclass(frozen=True)
class Answer:
    """What a release answers.

    Attributes:
        value: answers are equal where these are; empty: there is none, because of ``reason``.
        says: the answer for a person; asked: how often it was asked until it was sure.
        reason: why the release cannot be asked, or why its answers do not agree.
    """

    value: str
    says: str = ""
    asked: int = 1
    reason: str = ""


@dataclass(frozen=True)
class Probe:
    """One release that was asked."""

    index: int
    purpose: Purpose
    answer: Answer


#: Probes on each side of a change that look for another one.
CHECKS = 2
Ask = Callable[[int], Answer]


@dataclass(frozen=True)
class Found:
    """Where the answer changed.

    Attributes:
        last, first: indices of the last release with the old answer, and of the first with another; None where no change was found.
        probes: every release that was asked, in order.
        contradictions: probes whose answer does not fit one change.
        skipped: releases between ``last`` and ``first`` that could not be asked: the change may be in one of them.
    """

    last: int | None
    first: int | None
    probes: tuple[Probe, ...]
    contradictions: tuple[Probe, ...] = ()
    skipped: tuple[int, ...] = ()

    @property
    def monotonic(self) -> bool:
        """Whether all answers fit one change."""
        return not self.contradictions

    @property
    def steps(self) -> int:
        """How many halvings it took."""
        return sum(p.purpose == "halving" and bool(p.answer.value) for p in self.probes)

    def answer(self, index: int) -> Answer:
        """The answer of a release that was asked."""
        return next(p.answer for p in self.probes if p.index == index)


@dataclass
class _Search:
    """The releases that were asked so far."""

    count: int
    ask: Ask
    probes: list[Probe] = field(default_factory=list)

    def probe(self, index: int, purpose: Purpose) -> Answer:
        """The answer of a release, asked once."""
        known = next((p.answer for p in self.probes if p.index == index), None)
        if known is not None:
            return known
        answer = self.ask(index)
        self.probes.append(Probe(index, purpose, answer))
        return answer

    def nearest(self, wanted: int, low: int, high: int, purpose: Purpose) -> int | None:
        """The release nearest to the wanted one, of low to high, that has an answer; None where none has."""
        for index in sorted(range(low, high + 1), key=lambda i: (abs(i - wanted), i)):
            if self.probe(index, purpose).value:
                return index
        return None

    def gap(self, low: int, high: int) -> int | None:
        """The middle of the widest gap without a probe between two releases; None where there is none."""
        asked = sorted({low, high, *(p.index for p in self.probes if low <= p.index <= high)})
        gaps = [(b - a, a, b) for a, b in itertools.pairwise(asked) if b - a > 1]
        if not gaps:
            return None
        _, a, b = max(gaps)
        return (a + b) // 2


def search(count: int, ask: Ask) -> Found:
    """The change between releases 0 to count - 1, oldest first."""
    s = _Search(count, ask)
    low = s.nearest(0, 0, count - 1, "end") if count else None
    high = s.nearest(count - 1, low, count - 1, "end") if low is not None else None
    if low is None or high is None or low == high:
        return Found(None, None, tuple(s.probes))
    old = s.probe(low, "end").value
    ends = low, high
    if s.probe(high, "end").value == old:
        return _unchanged(s, ends, old)
    while (middle := s.nearest((low + high) // 2, low + 1, high - 1, "halving")) is not None:
        if s.probe(middle, "halving").value == old:
            low = middle
        else:
            high = middle
    _check(s, (ends[0], low), (high, ends[1]))
    contradictions = [p for p in s.probes if p.answer.value and (p.index >= high) == (p.answer.value == old)]
    new = s.probe(high, "end").value
    contradictions += [p for p in s.probes if p.index > high and p.answer.value not in ("", old, new)]
    skipped = tuple(sorted(p.index for p in s.probes if low < p.index < high))
    return Found(low, high, tuple(s.probes), tuple(sorted(contradictions, key=lambda p: p.index)), skipped)


def _check(s: _Search, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Probes on each side, away from the change; none where all releases of the side were asked."""
    for low, high in (before, after):
        for _ in range(CHECKS):
            if (middle := s.gap(low, high)) is not None:
                s.nearest(middle, low + 1, high - 1, "check")


def _unchanged(s: _Search, ends: tuple[int, int], old: str) -> Found:
    """Both ends agree: the releases between are checked at a third and at two thirds."""
    low, high = ends
    for third in (1, 2):
        if high - low > third:
            s.nearest(low + (high - low) * third // 3 or low + 1, low + 1, high - 1, "check")
    other = [p for p in s.probes if p.answer.value and p.answer.value != old]
    return Found(None, None, tuple(s.probes), tuple(other))


def until_sure(ask: Callable[[], Answer], agree: int = 2, most: int = 5) -> Answer:
    """Ask until one answer was given so often, without another between; at most so often.

    Where the answers differ, the one that was given at least four times in five counts; otherwise there is none.
    """
    given: list[Answer] = []
    while len(given) < most:
        answer = ask()
        if not answer.value:
            return answer
        given.append(answer)
        if len(given) == agree and len({a.value for a in given}) == 1:
            return Answer(answer.value, answer.says, len(given))
    values: Sequence[str] = [a.value for a in given]
    best = max(set(values), key=lambda v: (values.count(v), v))
    if 5 * values.count(best) >= 4 * len(values):
        return next(Answer(a.value, a.says, len(given)) for a in given if a.value == best)
    said = ", ".join(f"{values.count(v)} times {v}" for v in sorted(set(values)))
    return Answer("", reason=f"its answers differ: {said}", asked=len(given))
