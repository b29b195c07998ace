"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MAX_LINES = 60


@pytest.fixture
def own_layer(root: Path) -> str:
    """The source of the README's ``my_layer.py``."""
    (block,) = re.findall(r"^```python\n(.*?)^```", (root / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return str(block)


def test_an_own_layer_takes_less_than_sixty_lines(own_layer: str) -> None:
    """The promise to whoever brings a layer: layer and adapter together fit on a screen."""
    assert len(own_layer.splitlines()) < MAX_LINES


def test_the_own_layer_of_the_readme_conforms(own_layer: str, tmp_path: Path, environment: dict[str, str]) -> None:
    """Pasted into a folder and named on the command line, it is judged, and conforms."""
    (tmp_path / "my_layer.py").write_text(own_layer)
    command = [
        sys.executable,
        "-m",
        "bnspec",
        "verify",
        "--backend",
        "my_layer:MyAdapter",
        "--effort",
        "quick",
        "--json",
    ]
    end = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    findings = json.loads(end.stdout)["findings"] if end.returncode in (0, 1) else []
    wrong = [(f["clause"], f["verdict"], f["ratio"]) for f in findings if f["verdict"] not in ("conforms", "declined")]
    assert end.returncode == 0, f"{wrong}\n{end.stderr}"
    assert sum(f["verdict"] == "conforms" for f in findings) > 0


def test_the_files_that_the_documentation_links_to_exist(root: Path) -> None:
    """A link inside the repository leads somewhere."""
    folders = (root / "docs", root / "examples", root / ".github")
    pages = [*sorted(root.glob("*.md")), *(page for folder in folders for page in sorted(folder.rglob("*.md")))]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]
    broken = [f"{page.relative_to(root)}: {link}" for page, link in links if not (page.parent / link).exists()]
    assert not broken


def test_the_commands_that_the_readme_names_exist(root: Path, pyproject: dict[str, Any]) -> None:
    """Every line ``bnspec WORD`` or ``make WORD`` of the README is a command or a target."""
    text = (root / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = {
        word for line in re.findall(r"^    make ([a-z ]+?)(?:  .*)?$", text, re.MULTILINE) for word in line.split()
    }
    assert named
    assert named <= targets
    called = set(re.findall(r"^    bnspec (\w+)", text, re.MULTILINE))
    assert called
    assert called <= set(pyproject["project"]["entry-points"]["bnspec.commands"])


def test_the_numbers_of_backends_that_the_readme_names_are_true(root: Path, pyproject: dict[str, Any]) -> None:
    """How many there are, and how many a layer is translated between."""
    text = (root / "README.md").read_text()
    (there,) = re.findall(r"There are (\d+) backends", text)
    (translated,) = re.findall(r"between any two of (\d+) backends", text)
    assert int(there) == len(pyproject["project"]["entry-points"]["bnspec.backends"])
    assert int(translated) == len(json.loads((root / "docs" / "translations.json").read_text())["backends"])


def test_every_decision_has_a_status_and_a_date_and_stands_in_the_index(root: Path) -> None:
    """A reader knows which records hold."""
    folder = root / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    records = sorted(folder.glob("[0-9]*.md"))
    assert [r.name[:4] for r in records] == [f"{k:04}" for k in range(1, len(records) + 1)]
    for record in records:
        head = re.match(r"# (\d{4}): (.+)\n\nStatus: (.+)\nDate: (\d{4}-\d\d-\d\d)\n", record.read_text())
        assert head, record.name
        number, title, status, date = head.groups()
        assert number == record.name[:4]
        assert re.fullmatch(r"proposed|accepted|superseded by \d{4}", status)
        assert f"| [{number}]({record.name}) {title} | {status} | {date} |" in index
