"""The suite against mutants and unusual correct variants, in this process (other tests cover workers).

Each mutant runs the quick cases that ask its own clauses until one of those kills it; each variant runs some cases of every kind, and all
cases with its own calls. ``make mutants`` runs the whole matrix.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from bnspec.clauses import ASKED
from bnspec.cli import main
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.checks import CHECKS
from bnspec.conformance.judge.collector import COMPLETES
from bnspec.conformance.judge.judge import speaks_of
from bnspec.conformance.selftest.catalogue.catalogue import ALL, MUTANTS, VARIANTS, CatalogueEntry, select
from bnspec.conformance.selftest.matrix.matrix import Accusation, Matrix, fingerprint, judge_entries
from bnspec.conformance.selftest.matrix.run import recalled
from bnspec.conformance.selftest.matrix.table import Row, kills_by_clause, row_of
from bnspec.model.case import Case
from bnspec.model.observation import Observation, StepResult
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.codec import documents
from bnspec.reports.run.journal import UnitDone
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.resume import Begun
from bnspec.reports.run.store import RunWriter, read_run

#: Entries that may end or stall their process are tested through the command instead.
IN_PROCESS = [p for p in ALL if not p.implementation.isolated]
#: Values per channel beyond which the variants that loop over values in Python take seconds, and values in all beyond which all do.
FEW, SMALL = 500, 2000
#: Each variant runs one in this many cases of a kind, at least one.
SHARE = 16
#: By number of values: kinds of count are none, one and more.
MORE = 2


def kind_of(case: Case) -> tuple[object, ...]:
    """The kind of a case: its calls, dtype, count and memory."""
    asked = {s.call.kind for s in case.steps} - {"forward", "gradients", "fit", "transform", "inverse", "learn"}
    operations = any(s.call.between for s in case.steps)
    kind = "operations" if operations else (*sorted(asked), any(s.option("relation") for s in case.steps))
    packed = all(a.flags.c_contiguous for a in case.arrays.values())
    return (case.subject, kind, case.config.dtype, min(case.count, MORE), packed)


def in_turn() -> list[tuple[int, int, Case]]:
    """The quick cases, first one of each kind: (number in its kind, cases of its kind, case)."""
    kinds: dict[tuple[object, ...], list[Case]] = {}
    for case in cases_of("quick", 1):
        kinds.setdefault(kind_of(case), []).append(case)
    return sorted(((k, len(of), c) for of in kinds.values() for k, c in enumerate(of)), key=lambda place: place[0])


@functools.cache
def accusers() -> Mapping[str, set[str]]:
    """By name the clauses that accuse it: each mutant until one of its own does, a variant those that are not of level MAY."""
    found: dict[str, set[str]] = {p.name: set() for p in IN_PROCESS}
    waiting = {p.name: p for p in IN_PROCESS}
    turn = {p.name: k for k, p in enumerate(VARIANTS)}
    for k, of, case in in_turn():
        asked = speaks_of(case, Oracle(case), CHECKS)
        mutants = [p.name for p in waiting.values() if asked.intersection(p.killed_by) and p.applies_to(case)]
        variants = [
            p.name
            for p in VARIANTS
            if p.applies_to(case) and (p.implementation.calls or (k + turn[p.name]) % min(SHARE, of) == 0)
        ]
        small = case.count <= FEW and max(a.size for a in case.arrays.values()) <= SMALL
        names = mutants + (variants if small else [])
        accused, _ = judge_entries(*case.header(), names)
        for name, accusations in accused.items():
            entry = waiting[name]
            mutant = entry.kind == "mutant"
            found[name] |= {a.clause for a in accusations if mutant or ASKED[a.clause].level != "MAY"}
            if mutant and found[name].intersection(entry.killed_by):
                del waiting[name]
    return found


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(m, marks=[pytest.mark.xfail(reason=m.escapes, strict=True)] if m.escapes else [])
        for m in MUTANTS
        if m in IN_PROCESS
    ],
    ids=lambda m: m.name,
)
def test_the_mutant_is_killed_by_a_clause_it_is_named_for(mutant: CatalogueEntry) -> None:
    """Quick effort kills every mutant by one of its own clauses; known escapes state why."""
    assert accusers()[mutant.name] & set(mutant.killed_by)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_the_correct_variant_is_not_accused(variant: CatalogueEntry) -> None:
    """Whatever the summation order, the form, the accumulator or the memory: no clause deviates."""
    assert not accusers()[variant.name]


def test_every_clause_that_backends_are_asked_has_exactly_one_check() -> None:
    """But for the one that the runner judges, of cases that came to no end. The others have tests in tests/core."""
    assert sorted([*(c.clause for c in CHECKS), COMPLETES]) == sorted(ASKED)


def test_names_are_distinct_and_clauses_exist() -> None:
    """A mutant that names a clause that does not exist could never be killed as it should."""
    names = [p.name for p in ALL]
    assert len(set(names)) == len(names)
    assert not {c for p in ALL for c in p.killed_by} - set(ASKED)
    assert all(m.killed_by and m.family and m.statement.endswith(".") for m in MUTANTS)
    assert not any(v.killed_by or v.family or v.escapes for v in VARIANTS)


def test_equal_observations_have_one_fingerprint_and_others_another() -> None:
    """What is judged once for many must be the same in every bit that a check can see."""
    case = catalogue()[0]
    y = case.arrays["x"].copy()
    plain = Observation("ok", steps=(StepResult("ok", outputs={"y": y}),), seconds=1.0)
    again = Observation("ok", steps=(StepResult("ok", outputs={"y": y.copy()}),), seconds=2.0)
    other = [
        StepResult("ok", outputs={"y": -y}),
        StepResult("ok", outputs={"y": y}, overruns=("writes after x",)),
        StepResult("ok", outputs={"y": y.reshape(-1)}),
        StepResult("ok", outputs={"x": y}),
        StepResult("ok", after={"y": y}),
        StepResult("ok", outputs={"y": y}, written=("x",)),
        StepResult("ok", outputs={"y": y}, overwritten=((0, "y"),)),
        StepResult("error", outputs={"y": y}),
    ]
    prints = {fingerprint(plain), *(fingerprint(Observation("ok", steps=(s,))) for s in other)}
    assert fingerprint(plain) == fingerprint(again)
    assert len(prints) == 1 + len(other)


def table(*accused: tuple[str, tuple[str, ...]]) -> list[Row]:
    """The rows of a matrix of one case, in which these names are accused by these clauses."""
    entries = [p for name, _ in accused for p in select([name])]
    found = {name: [Accusation(c, 2.0, "") for c in clauses] for name, clauses in accused}
    matrix = Matrix(entries, {1: ["case"]}, {"case": {}}, {"case": {n: a for n, a in found.items() if a}})
    return [row_of(matrix, p) for p in entries]


def test_a_mutant_must_be_killed_by_its_own_and_a_variant_by_none() -> None:
    """Killed for another reason is not as it should be; a clause of level MAY kills nothing."""
    own, other, survivor, variant, accused = table(
        ("epsilon_outside_root", ("epsilon.inside_root_in_training",)),
        ("epsilon_as_floor", ("training.output",)),
        ("epsilon_twice", ("gradient.forward_agrees",)),
        ("unchanged", ("gradient.forward_agrees",)),
        ("folded", ("training.output",)),
    )
    assert [r.as_it_should_be for r in (own, other, survivor, variant, accused)] == [True, False, False, True, False]
    assert not survivor.killed_by
    assert accused.worst == ("case", Accusation("training.output", 2.0, ""))


def test_a_unique_kill_is_one_that_no_other_clause_makes() -> None:
    """Clauses that kill nothing are counted too: they are not to be trusted."""
    rows = table(
        ("epsilon_twice", ("training.output", "epsilon.inside_root_in_training")),
        ("epsilon_as_floor", ("training.output",)),
    )
    clauses = {c["clause"]: c for c in kills_by_clause(rows)}
    assert clauses["training.output"] == {
        "clause": "training.output", "level": "MUST", "kills": 2, "unique_kills": ["epsilon_as_floor"],
    }  # fmt: skip
    assert clauses["running.mean"]["kills"] == 0


def test_the_command_prints_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through processes and, for what may end its own, a worker; exit status 0 as all are as they should be."""
    asked = ["mutants", "--name", "sample_variance_fitted", "--name", "scaler_by_rows", "--until-killed", "--json"]
    assert main([*asked, "--out", str(tmp_path / "run")]) == 0
    said = json.loads(capsys.readouterr().out)
    mutant, variant = said["mutants"]
    assert mutant["killed"]
    assert mutant["killed_by_family"]
    assert mutant["stopped_after"] >= mutant["cases_to_first_kill"] > 0
    assert (variant["kind"], variant["killed_by"]) == ("variant", [])
    assert said["budget"]["cases"] > 100
    assert "input.fit" not in said["mistrusted"]
    run = read_run(tmp_path / "run")
    assert (run.complete, run.manifest.options["until_killed"]) == (True, True)
    ((killed,), (clear,), (matrix,)) = run.mutants, run.variants, run.kill_matrices
    assert {"kind": "mutant", **documents([killed])[0]}.items() >= mutant.items()
    assert {"kind": "variant", **documents([clear])[0]}.items() >= variant.items()
    assert killed.first_kill is not None
    assert killed.first_kill.clause in killed.killed_by
    assert Case.loads((run.path / str(killed.first_kill.case)).read_text("utf-8")).subject == "input_norm"
    assert (matrix.whole, matrix.cases) == (False, said["budget"]["cases"])
    assert not any(c.mistrusted for c in run.clause_kills), "a mutant that was let go says nothing of other clauses"
    assert {c.clause: c.kills for c in run.clause_kills} == {c["clause"]: c["kills"] for c in said["clauses"]}


def test_seeds_are_given_in_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    """--seed and --seeds together would leave open which are meant."""
    assert main(["mutants", "--seed", "1", "--seeds", "2"]) == 2
    assert "Fix:" in capsys.readouterr().err


def test_a_wave_that_the_journal_does_not_hold_as_it_was_is_judged_again(tmp_path: Path) -> None:
    """One whose ratio is another word is left out; the other one is as it was."""
    waves = {0: "inf", 64: "many"}
    found = {
        n: {"case": {"mutant": [{"clause": "training.output", "ratio": r, "message": ""}]}} for n, r in waves.items()
    }
    entries = [UnitDone(("wave", n), 1.0, {"found": f, "seconds": {"layers": 1.0}}) for n, f in found.items()]
    manifest = new_manifest("mutants", "bnspec mutants", 1, "quick", {})
    with RunWriter.create(tmp_path / "run", manifest) as writer:
        journal = recalled(Begun(writer, entries=entries))
    assert journal.units == {("wave", 0): {"case": {"mutant": [Accusation("training.output", math.inf, "")]}}}
    assert journal.seconds.layers == 1.0
