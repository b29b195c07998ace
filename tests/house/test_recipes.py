"""The recipes of CONTRIBUTING.md for clauses, mutants and variants, followed in a copy of the repository."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recipes import Block, blocks, copy_of, put

from bnspec.conformance.judge.collector import ANSWERS

#: The blocks of the backend recipe, which has a test of its own.
OTHER = ("pyproject.toml",)


@pytest.fixture(scope="module")
def recipe(root: Path) -> list[Block]:
    """The blocks that go into a Python file."""
    return [b for b in blocks(root) if b.target and b.target not in OTHER]


@pytest.fixture(scope="module")
def followed(root: Path, recipe: list[Block], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with every block in its file."""
    path = copy_of(root, tmp_path_factory.mktemp("recipes") / "repository")
    for block in recipe:
        put(block, path)
    return path


def bnspec(copy: Path, environment: dict[str, str], *words: str, status: int = 0) -> Any:
    """The JSON document of a command in the copy."""
    command = [sys.executable, "-m", "bnspec", *words, "--json"]
    inside = environment | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    end = subprocess.run(command, cwd=copy, env=inside, capture_output=True, text=True, check=False)
    assert end.returncode == status, end.stderr
    return json.loads(end.stdout)


def test_every_recipe_has_its_blocks(root: Path, recipe: list[Block]) -> None:
    """A clause is three blocks, a mutant and a variant one each; each goes into a file that exists."""
    rooms = [Path(b.target).parent.name for b in recipe]
    assert rooms == ["clauses", "checks", "mutants", "mutants", "variants"]
    assert all((root / b.target).is_file() for b in recipe)


def test_the_commands_of_the_recipes_name_what_their_blocks_add(root: Path, recipe: list[Block]) -> None:
    """A reader pastes both."""
    added = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        for b in recipe
        for name in re.findall(r"^class (\w+)\(", b.text, re.MULTILINE)
    }
    named = {n for b in blocks(root) if b.language == "sh" for n in re.findall(r"mutants --name (\w+)", b.text)}
    assert named == added


def test_the_new_clause_is_asked_and_the_specification_conforms(followed: Path, environment: dict[str, str]) -> None:
    """Some case of the quick effort asks it, and NumPy's layer keeps it."""
    words = ("verify", "--backend", "numpy", "--clause", "affine.single_channel", "--out", "runs/clause")
    found = {f["clause"]: f for f in bnspec(followed, environment, *words)["findings"]}
    assert found.keys() == {"affine.single_channel", *ANSWERS}
    assert found["affine.single_channel"]["verdict"] == "conforms"
    assert found["affine.single_channel"]["cases"] > 0


def test_the_new_mutants_are_killed_and_the_new_variant_is_not_accused(
    followed: Path, environment: dict[str, str]
) -> None:
    """The clause kills its mutant, and the variant meets every quick case."""
    names = ("beta_lost_in_a_single_channel", "epsilon_halved", "count_inverted")
    rows = bnspec(followed, environment, "mutants", "--until-killed", *(w for n in names for w in ("--name", n)))[
        "mutants"
    ]
    by_name = {r["name"]: r for r in rows}
    assert by_name.keys() == set(names)
    assert "affine.single_channel" in by_name[names[0]]["killed_by"]
    assert by_name[names[1]]["killed"]
    assert not by_name[names[2]]["killed_by"]


def test_the_document_of_the_new_clause_is_written_again(followed: Path, environment: dict[str, str]) -> None:
    """The last step of the recipe is the one that a test would ask for."""
    (clause,) = bnspec(followed, environment, "explain", "affine.single_channel")
    assert clause["since"]
    assert clause["verified"] == "backends"
