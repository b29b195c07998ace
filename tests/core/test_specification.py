"""The specification as a document: complete, consistent, tested and up to date."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from pathlib import Path

import pytest

from bnspec.clauses import ASKED, CLAUSES, FAMILIES, VERSION, Clause, select, select_asked
from bnspec.clauses.document import anchor, text
from bnspec.cli import main
from bnspec.errors import UsageError
from bnspec.model.conventions import Conventions

ROOT = Path(__file__).resolve().parents[2]
every_clause = pytest.mark.parametrize("clause", CLAUSES.values(), ids=lambda c: c.id)

#: The families that the specification owes; each of them says something.
OWED = (
    "training", "epsilon", "affine", "running", "inference", "gradient", "second_order",
    "accuracy", "degenerate", "special", "dtype",
    "layout", "purity", "state", "mask", "sharded", "contract", "errors", "input", "placement", "layernorm",
)  # fmt: skip


def claimed() -> dict[str, list[str]]:
    """By clause, the tests that are marked to verify it: read from the source, so that one file alone can be run."""
    tests: dict[str, list[str]] = {}
    for path in sorted(Path(__file__).parent.glob("test_clauses_*.py")):
        for node in ast.parse(path.read_text()).body:
            for mark in getattr(node, "decorator_list", []):
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "verifies":
                    assert isinstance(node, ast.FunctionDef)
                    assert node.name.startswith("test_"), node.name
                    for argument in mark.args:
                        tests.setdefault(ast.literal_eval(argument), []).append(node.name)
    return tests


def test_every_clause_of_the_specification_alone_is_verified_by_a_test_of_it() -> None:
    """And no test claims a clause that backends are asked about, or one that does not exist."""
    assert sorted(claimed()) == sorted(c.id for c in CLAUSES.values() if c.verified != "backends")


def test_the_document_is_what_its_source_says() -> None:
    """``make specification`` writes it."""
    written = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
    assert written == text(list(CLAUSES.values()), FAMILIES), "stale: make specification"


def test_every_required_family_has_clauses_and_is_in_order() -> None:
    """The document follows the families, and the families the clauses."""
    assert tuple(f.name for f in FAMILIES) == OWED
    assert tuple(dict.fromkeys(c.family for c in CLAUSES.values())) == OWED


@every_clause
def test_the_clause_says_all_that_a_clause_says(clause: Clause) -> None:
    """One sentence, a formula, a reason, a source; conventions fields and reports that can be looked up."""
    assert re.fullmatch(r"\w.*[^.]\.", clause.statement)
    assert ". " not in clause.statement
    assert clause.formula
    assert clause.rationale.endswith(".")
    assert clause.source
    assert set(clause.depends) <= set(Conventions.__dataclass_fields__)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", c) for c in clause.catches)
    assert len(set(clause.catches)) == len(clause.catches)


def test_the_document_and_every_clause_name_a_version() -> None:
    """Of the specification, not of the package; none is from a later one."""
    assert f"\nVersion {VERSION}\n" in text(list(CLAUSES.values()), FAMILIES)
    assert {c.since for c in CLAUSES.values()} <= {f"1.{k}" for k in range(int(VERSION.partition(".")[2]) + 1)}
    for since in ("1.999", "2", "soon"):
        with pytest.raises(UsageError, match="from version"):
            dataclasses.replace(CLAUSES["training.output"], since=since)


def test_ids_and_statements_are_distinct() -> None:
    """Two clauses that say the same would be judged twice."""
    everything = [c for f in FAMILIES for c in select([f.name])]
    assert len(everything) == len(CLAUSES)
    for part in (lambda c: c.id, lambda c: c.statement, anchor):
        assert len({part(c) for c in everything}) == len(everything)


def test_links_inside_the_document_lead_to_anchors_of_it() -> None:
    """Contents and index."""
    written = text(list(CLAUSES.values()), FAMILIES)
    anchors = re.findall(r'<a id="([^"]+)">', written)
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([^)]+)\)", written)) == set(anchors)


def test_the_code_that_the_document_points_to_exists() -> None:
    """Files, and names in them."""
    for family in FAMILIES:
        for place in filter(None, family.equations.split("; ")):
            path, _, names = place.partition(": ")
            source = (ROOT / path).read_text()
            assert all(f"def {name}(" in source for name in filter(None, names.split(", "))), place


# --- what a run asks, and what it is not asked ----------------------------------------------------------------------------------


def test_a_run_asks_only_what_backends_can_be_asked() -> None:
    """By default, and where a pattern also matches clauses that are verified on the specification."""
    assert [c.id for c in select_asked(())] == list(ASKED)
    assert {c.family for c in select_asked(["training"])} == {"training"}
    assert all(c.asked for c in select_asked(["training", "gradient.*"]))


@pytest.mark.parametrize("pattern", ["sharded", "placement.bias_cancels", "layernorm.*"])
def test_naming_only_what_no_backend_can_be_asked_is_a_wrong_call(
    pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also beside others: a clause that was asked for is not dropped silently. What, why and fix."""
    with pytest.raises(UsageError, match="no check judges backends"):
        select_asked(["training", pattern])
    assert main(["verify", "--backend", "numpy", "--clause", pattern]) == 2
    said = capsys.readouterr().err
    assert "no check judges backends" in said
    assert "Why:" in said
    assert "Fix:" in said


def test_explain_lists_every_clause_once_under_its_family(capsys: pytest.CaptureFixture[str]) -> None:
    """With the number of all, and of those that backends are asked about."""
    assert main(["explain"]) == 0
    said = capsys.readouterr().out
    assert all(len(re.findall(rf"^  \w+ +\*? +{re.escape(i)} ", said, re.MULTILINE)) == 1 for i in CLAUSES)
    assert all(f.title in said for f in FAMILIES)
    assert f"{len(CLAUSES)} clauses. Backends are asked about {len(ASKED)}" in said


@every_clause
def test_explain_shows_a_clause_in_full_within_a_hundred_columns(
    clause: Clause, capsys: pytest.CaptureFixture[str]
) -> None:
    """Statement, formula, reason, source, and where it is verified; formulas are never broken."""
    assert main(["explain", clause.id]) == 0
    said = capsys.readouterr().out
    words = " ".join(said.split())
    for part in (
        clause.statement,
        *clause.formula_lines,
        clause.rationale,
        clause.source,
        *clause.catches,
        clause.level,
    ):
        assert " ".join(part.split()) in words
    assert "verified on" in said
    formulas = {" ".join(line.split()) for line in clause.formula_lines}
    long = [line for line in said.splitlines() if len(line) > 100]
    assert all(any(f in " ".join(line.split()) for f in formulas) for line in long)


def test_explain_as_json_has_the_fields_that_others_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    """All clauses, each with at least these."""
    assert main(["explain", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [c["id"] for c in document] == list(CLAUSES)
    wanted = {
        "id",
        "family",
        "level",
        "statement",
        "formula",
        "rationale",
        "source",
        "depends",
        "catches",
        "verified",
        "since",
    }
    assert all(wanted <= c.keys() for c in document)


def test_explain_as_markdown_prints_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole, or the part that is asked for."""
    assert main(["explain", "--markdown"]) == 0
    assert capsys.readouterr().out == text(list(CLAUSES.values()), FAMILIES)
    assert main(["explain", "mask", "--markdown"]) == 0
    part = capsys.readouterr().out
    assert "### `mask.gradients`" in part
    assert "### `training.output`" not in part
