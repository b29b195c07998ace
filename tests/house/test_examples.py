"""Every example does what it says, and the documentation shows the examples as they are."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from recipes import blocks


def test_the_readme_shows_the_example_layer(root: Path) -> None:
    """The block that is read is the file that is run; ``test_readme.py`` runs it."""
    shown = [b.text for b in blocks(root, "README.md") if b.language == "python"]
    assert shown == [(root / "examples" / "my_layer.py").read_text()]


def test_the_page_of_the_api_shows_part_of_an_example(root: Path) -> None:
    """Word by word."""
    (block,) = blocks(root, "docs/api.md")
    assert block.text in (root / block.target).read_text()


def pytest_ends(folder: Path, environment: dict[str, str]) -> int:
    """The status of the example's test in a folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_given_cases.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode


def test_cases_in_a_test_of_ones_own(root: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """It passes for the function that is right, and fails for one with epsilon outside of the root."""
    text = (root / "examples" / "test_given_cases.py").read_text()
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for folder, source in (
        (right, text),
        (wrong, text.replace("np.sqrt(var + wide.dtype.type(epsilon))", "(np.sqrt(var) + wide.dtype.type(epsilon))")),
    ):
        folder.mkdir()
        (folder / "test_given_cases.py").write_text(source)
    assert (right / "test_given_cases.py").read_text() != (wrong / "test_given_cases.py").read_text()
    assert pytest_ends(right, environment) == 0
    assert pytest_ends(wrong, environment) == 1


def public_names(root: Path) -> list[tuple[str, str]]:
    """(module, name) of the table of docs/api.md."""
    rows = re.findall(r"^\| `(bnspec\.[\w.]+)` \| (.*) \|$", (root / "docs" / "api.md").read_text(), re.MULTILINE)
    return [(module, name) for module, listed in rows for name in re.findall(r"`(\w+)`", listed)]


def test_the_public_names_exist(root: Path) -> None:
    """What the page promises can be imported."""
    names = public_names(root)
    assert len(names) > 20
    assert [(m, n) for m, n in names if not hasattr(importlib.import_module(m), n)] == []


def test_the_contract_is_public_as_a_whole(root: Path) -> None:
    """A name that adapters may import is on the page."""
    contract = importlib.import_module("bnspec.contract")
    assert set(contract.__all__) == {n for m, n in public_names(root) if m == "bnspec.contract"}


@pytest.mark.parametrize("old", ["Profile", "profile"])
def test_the_names_of_0_1_are_still_read(old: str) -> None:
    """An adapter that was written for 0.1 opens as before."""
    contract = importlib.import_module("bnspec.contract")
    if old == "Profile":
        assert contract.Profile is contract.Conventions
        return
    declared = contract.Conventions(running_correction=1)
    made = type("Old", (contract.Adapter,), {"profile": declared})
    assert made.conventions is declared
