"""How much one touches to add a thing: counted in the files, so that it cannot creep back up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import places
import pytest

from bnspec.backends.harness.folders import backend_folders


@pytest.fixture(scope="module")
def found(root: Path) -> places.Places:
    """The count of this checkout; a copy without git has no list of its files."""
    if not (root / ".git").exists():
        pytest.skip("the files of a checkout are those that git lists")
    return places.count(places.checkout(root))


def test_a_framework_is_one_folder_and_its_entry_points(found: places.Places) -> None:
    """No other file lists the frameworks one by one."""
    folder, *lists = found.framework
    assert re.fullmatch(r"backends/\w+/", folder)
    assert lists == ["pyproject.toml"]


def test_a_list_of_frameworks_is_seen() -> None:
    """The rule above rests on it; a test's parametrization is a sample, not a list."""
    words = ", ".join(places.FRAMEWORKS)
    assert places.lists_all(f"known = [{words}]")
    assert places.lists_all("\n".join(places.FRAMEWORKS))
    assert not places.lists_all(("\n" * places.WINDOW).join(places.FRAMEWORKS))
    assert not places.lists_all(f"@pytest.mark.parametrize('backend', [{words}])")


def test_all_frameworks_are_looked_for() -> None:
    """A folder that the count does not know would be counted nowhere."""
    assert len(places.FRAMEWORKS) == len(backend_folders()) - 1


def test_pyproject_names_frameworks_in_entry_points_only(root: Path, pyproject: dict[str, Any]) -> None:
    """Rules of tools, dependencies and extras are the same for every framework."""
    lines = (root / "pyproject.toml").read_text().splitlines()
    entries = {
        f'"{name}" = "{value}"' for name, value in pyproject["project"]["entry-points"]["bnspec.backends"].items()
    }
    naming = {line for line in lines if places.named(line)}
    assert naming
    assert naming <= entries


def test_the_makefile_names_no_framework_in_a_recipe_that_reads_the_folders(root: Path) -> None:
    """Which backends the report and the tests take, the folders say."""
    makefile = (root / "Makefile").read_text()
    assert "FOLDERS_SAY" in makefile
    assert not places.lists_all(makefile)


def test_a_mutant_is_one_file_and_a_clause_a_handful(found: places.Places) -> None:
    """A clause: its sentence, its check, the mutants that it kills, and the tests of these."""
    assert found.mutant == 1
    assert found.clause <= 6
    assert found.spelled == 0
