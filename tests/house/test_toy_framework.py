"""A new framework is one folder and one entry point: proved by adding one to a copy of the repository, as CONTRIBUTING says."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from recipes import blocks, copy_of

EXAMPLE = Path("examples/new_backend")
CLAUSE = "degenerate.empty_batch"
REASON = "the mean over no values is 0/0, and enters the running statistics."


@dataclass(frozen=True)
class Copy:
    """A copy of the repository that the toy framework was added to.

    Attributes:
        path: of the copy; environment: in which its commands run.
        changed: the files that differ from the original's, or that are new.
    """

    path: Path
    environment: dict[str, str]
    changed: frozenset[str]

    def run(self, *words: str | Path, status: int = 0) -> str:
        """What ``python`` prints with these words; ends with this status."""
        command = [sys.executable, *map(str, words)]
        end = subprocess.run(command, cwd=self.path, env=self.environment, capture_output=True, text=True, check=False)
        assert end.returncode == status, f"{words}: status {end.returncode}\n{end.stdout}\n{end.stderr}"
        return end.stdout

    def bnspec(self, *words: str | Path, status: int = 0) -> str:
        """What ``bnspec`` prints with these words."""
        return self.run("-m", "bnspec", *words, status=status)


def digests(folder: Path) -> dict[str, str]:
    """A digest of each file, by its path in the folder; links as what they lead to."""
    paths = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The recipe "Add a backend", followed to the letter: one folder is copied, one line is added, metadata is remade."""
    path = copy_of(root, tmp_path_factory.mktemp("toy") / "repository")
    before = digests(path)
    (line,) = (b.text for b in blocks(root) if b.target == "pyproject.toml")
    shutil.copytree(root / EXAMPLE / "toy", path / "backends" / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    pyproject = path / "pyproject.toml"
    head = '[project.entry-points."bnspec.backends"]\n'
    assert head in pyproject.read_text()
    pyproject.write_text(pyproject.read_text().replace(head, head + line))
    after = digests(path)
    assert set(before) <= set(after)
    changed = frozenset(name for name, digest in after.items() if before.get(name) != digest)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(path.parent),
        "PYTHONPATH": f"{path}:{root / EXAMPLE}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    made = Copy(path, environment, changed)
    made.run("setup.py", "--quiet", "egg_info")  # what an editable install writes: the entry points, beside the sources
    return made


@pytest.fixture(scope="module")
def run(copy: Copy) -> Path:
    """The run directory of the toy backend, on the family of its deviation and two others."""
    path = copy.path / "runs" / "toy"
    clauses = ("--clause", "degenerate", "--clause", "running.mean", "--clause", "training.output")
    copy.bnspec("verify", "--backend", "toy", *clauses, "--out", path, status=1)
    return path


def test_a_new_framework_is_one_folder_and_one_line(copy: Copy) -> None:
    """No file of the repository changes but the list of entry points."""
    inside = {name for name in copy.changed if name.startswith("backends/toy/")}
    assert copy.changed - inside == {"pyproject.toml"}
    assert "backends/toy/environment.toml" in inside


def test_the_backend_is_listed_and_opened(copy: Copy) -> None:
    """With the release of its framework, which the folder alone names."""
    (row,) = json.loads(copy.bnspec("backends", "--backend", "toy", "--json"))
    assert row["devices"] == {"cpu": "ready"}
    assert "1.0.0" in json.dumps(row)


def test_the_makefile_and_the_extras_read_the_folder(copy: Copy) -> None:
    """The report takes the backend; ``bnspec[toy]`` brings the framework."""
    assert "toy" in copy.run("-m", "bnspec.backends.harness.folders", "report").split()
    requires = (copy.path / "bnspec.egg-info" / "requires.txt").read_text()
    assert "[toy]\ntoynorm>=1.0\n" in requires


def test_the_known_deviation_is_recognised(run: Path) -> None:
    """The clause deviates, and the folder's entry covers it: class, reason, releases."""
    document = findings(run)
    assert document[CLAUSE]["verdict"] == "deviates"
    assert REASON in json.dumps(document[CLAUSE]["known"])
    assert {d["verdict"] for c, d in document.items() if c in ("running.mean", "training.output")} == {"conforms"}


def findings(run: Path) -> dict[str, dict[str, object]]:
    """The run's findings by clause."""
    records = map(json.loads, (run / "records.jsonl").read_text().splitlines())
    return {r["clause"]: r for r in records if r["kind"] == "finding"}


def test_the_repro_script_is_written_and_reproduces(copy: Copy, run: Path) -> None:
    """It uses the framework and NumPy alone."""
    rows = json.loads(copy.bnspec("repro", run, "--clause", CLAUSE, "--run", "--json"))
    found = json.dumps(rows)
    assert '"reproduced"' in found
    (script,) = (run / "repros").glob("*.py")
    text = script.read_text()
    assert "import toynorm" in text
    assert "bnspec" not in text


def test_the_page_names_backend_and_deviation(copy: Copy, run: Path) -> None:
    """The report reads the run directory, and knows nothing of frameworks."""
    page = copy.path / "page"
    copy.bnspec("report", run, "--out", page)
    text = (page / "index.html").read_text()
    for word in ("toy", CLAUSE, REASON.removesuffix(".").replace("'", "&#39;")):
        assert word in text


def test_the_house_rules_hold_with_the_new_folder(copy: Copy) -> None:
    """Its adapters are the worker's side, its ``harness`` is not; packages, links and docstrings as everywhere."""
    said = copy.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/house/test_architecture.py")
    assert "failed" not in said


def test_the_house_rules_bite_in_the_new_folder(copy: Copy) -> None:
    """The control: an adapter that imports what a worker lacks is found."""
    adapter = copy.path / "backends" / "toy" / "batch_norm.py"
    kept = adapter.read_text()
    try:
        adapter.write_text(kept.replace("import toynorm", "import hypothesis, toynorm"))
        program = (
            "import sys; sys.path.insert(0, 'tests/house'); import test_architecture as rules\n"
            "try: rules.test_worker_side_files_import_nothing_above_them()\n"
            "except AssertionError as broken: print(broken)"
        )
        assert "backends/toy/batch_norm.py: ['hypothesis']" in copy.run("-c", program)
    finally:
        adapter.write_text(kept)
