"""The question of a call of ``bnspec bisect``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bnspec.clauses import CLAUSES, select
from bnspec.conformance.bisection.bisect import Asked
from bnspec.conformance.bisection.question import (
    CaseQuestion,
    ClauseQuestion,
    ConventionQuestion,
    SpeedQuestion,
    timed_case,
)
from bnspec.conformance.conventions.laboratory import DECAY_WEIGHS
from bnspec.conformance.conventions.plan import NOT_OBSERVABLE
from bnspec.conformance.run.replay import saved_case
from bnspec.conformance.run.verify import cases_asked
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions


def question_asked(
    clause: str | None, case: Path | None, convention: str | None, slower: float | None, seed: int
) -> Asked:
    """The question. Raises UsageError: none is asked, or two are, or what it names does not exist."""
    given = [n for n, v in (("--clause", clause), ("--convention", convention), ("--slower", slower)) if v is not None]
    if len(given) > 1 or (not given and case is None) or (case is not None and convention is not None):
        raise UsageError(
            f"{' and '.join(given) or 'nothing'} {'are' if len(given) > 1 else 'is'} asked.",
            "a bisection has one question.",
            "give one of --clause, --case, --convention and --slower; --case also goes with --clause or --slower.",
        )
    loaded = saved_case(case) if case is not None else None
    if slower is not None:
        timed = timed_case() if loaded is None else dataclasses.replace(loaded, steps=loaded.steps[-1:])
        factor = slower
        return lambda first: SpeedQuestion(factor, timed, first)
    if convention is not None:
        return _convention(convention)
    return _judged(clause, loaded, seed)


def _convention(name: str) -> Asked:
    known = [DECAY_WEIGHS, *(f.name for f in dataclasses.fields(Conventions))]
    if name in NOT_OBSERVABLE or name not in known:
        why = NOT_OBSERVABLE.get(name) or f"conventions are {', '.join(n for n in known if n not in NOT_OBSERVABLE)}"
        raise UsageError(f"no experiment finds the convention {name!r}.", f"{why}.", "name one that is observed.")
    return lambda first: ConventionQuestion(name)


def _judged(clause: str | None, case: Case | None, seed: int) -> Asked:
    if clause is not None and clause not in CLAUSES:
        names = [c.id for c in select([clause])]  # refuses what is none
        raise UsageError(
            f"{clause!r} names {len(names)} clauses.",
            "a bisection asks one.",
            f"name one of them, for example {names[0]}.",
        )
    if case is not None:
        asked = [clause] if clause is not None else list(CLAUSES)
        return lambda first: CaseQuestion(case, asked)
    assert clause is not None, "refused above"
    cases = list(cases_asked("device", seed, [CLAUSES[clause]]))
    return lambda first: ClauseQuestion(clause, cases)
