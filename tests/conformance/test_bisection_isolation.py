"""Isolation: the package itself, a companion, or not told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bnspec.conformance.bisection.isolation import changed, isolate
from bnspec.conformance.bisection.search import Answer

BEFORE = {"alpha": "1", "beta": "1", "gamma": "1", "same": "1"}
AFTER = {"alpha": "2", "beta": "2", "gamma": "2", "same": "1"}
COMPANIONS = changed("alpha", BEFORE, AFTER)


def asked(answer: Callable[[set[str]], str]) -> tuple[list[Sequence[str]], Callable[[Sequence[str]], Answer]]:
    """A resolver that answers by what is held."""
    calls: list[Sequence[str]] = []

    def ask(requirements: Sequence[str]) -> Answer:
        calls.append(requirements)
        value = answer(set(requirements))
        return Answer(value, reason="" if value else "no solution")

    return calls, ask


def test_the_package_itself() -> None:
    """With everything else held the new answer stays: one environment is enough to know."""
    calls, ask = asked(lambda held: "new")
    found = isolate("alpha", "2", COMPANIONS, "old", "new", ask)
    assert (found.origin, calls) == ("package", [["alpha==2", "beta==1", "gamma==1"]])


def test_the_companion_that_made_the_change_is_named() -> None:
    """Held alone, it brings the old answer back."""
    _, ask = asked(lambda held: "old" if "gamma==1" in held else "new")
    found = isolate("alpha", "2", COMPANIONS, "old", "new", ask)
    assert (found.origin, [c.name for c in found.culprits]) == ("companion", ["gamma"])
    assert "gamma 1 → 2" in found.sentence


def test_where_the_resolver_refuses_all_each_is_held_alone() -> None:
    """As far as it allows."""
    _, ask = asked(lambda held: "" if "beta==1" in held else "old")
    assert [c.name for c in isolate("alpha", "2", COMPANIONS, "old", "new", ask).culprits] == ["gamma"]
    _, ask = asked(lambda held: "")
    found = isolate("alpha", "2", COMPANIONS, "old", "new", ask)
    assert found.origin == "unknown"
    assert "cannot be installed" in found.sentence
    assert found.trials[0].answer.reason == "no solution"


def test_where_nothing_else_changed_it_is_the_package() -> None:
    """Without any environment."""
    calls, ask = asked(lambda held: "new")
    assert (isolate("alpha", "2", (), "old", "new", ask).origin, calls) == ("package", [])
