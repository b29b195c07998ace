"""What the command line promises, whoever wrote the command: help at once, an example, an error that mends."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bnspec.backends.harness.folders import backend_folders

PYPROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
COMMANDS = sorted(PYPROJECT["project"]["entry-points"]["bnspec.commands"])
FRAMEWORKS = tuple(package for folder in backend_folders() for package in folder.imports)

#: Seconds. What is promised, and what is asserted: a shared machine may be three times slower than the one it was set on.
PROMISED, ASSERTED = 0.3, 1.0


@pytest.fixture
def bnspec(tmp_path: Path, environment: dict[str, str]) -> Any:
    """Run ``bnspec`` with these words, away from the checkout."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bnspec", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def median_seconds(call: Any, *words: str) -> float:
    """The median time of three runs; single runs on a shared machine say little."""
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        end = call(*words)
        taken.append(time.perf_counter() - begun)
        assert end.returncode == 0, end.stderr
    return statistics.median(taken)


def test_the_overview_lists_every_command_and_the_exit_statuses(bnspec: Any) -> None:
    """A stranger's first call shows all there is."""
    end = bnspec("--help")
    assert end.returncode == 0
    assert "exit status: 0 all conforms" in end.stdout
    listed = {line.split()[0] for line in end.stdout.splitlines() if line.startswith("  ") and line.strip()}
    assert listed >= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_an_example(command: str, bnspec: Any) -> None:
    """The example is a line that can be pasted."""
    end = bnspec(command, "--help")
    assert (end.returncode, end.stderr) == (0, "")
    _, _, example = end.stdout.partition("example:")
    assert f"bnspec {command}" in example


@pytest.mark.parametrize("words", [["--help"], *([c, "--help"] for c in COMMANDS)], ids=" ".join)
def test_help_comes_at_once(words: list[str], bnspec: Any, record_property: Any) -> None:
    """No command imports what only its run needs."""
    taken = median_seconds(bnspec, *words)
    record_property("median_seconds", taken)
    sys.stdout.write(f"bnspec {' '.join(words)}: {taken:.2f} s, promised {PROMISED} s\n")
    assert taken < ASSERTED


def test_an_unknown_command_is_refused_with_what_why_and_mend(bnspec: Any) -> None:
    """A mistyped command names its neighbour."""
    end = bnspec("verfy")
    assert (end.returncode, end.stdout) == (2, "")
    assert "no command 'verfy'" in end.stderr
    assert "Why:" in end.stderr
    assert "Fix: did you mean verify?" in end.stderr


def test_no_command_at_all_shows_the_overview_and_is_a_wrong_call(bnspec: Any) -> None:
    """A script that lost its arguments must not look green."""
    end = bnspec()
    assert end.returncode == 2
    assert "usage: bnspec COMMAND" in end.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_argument_is_refused_with_a_way_to_mend_it(command: str, bnspec: Any) -> None:
    """Exit status 2, nothing on standard output, no traceback."""
    end = bnspec(command, "--no-such-argument")
    assert (end.returncode, end.stdout) == (2, "")
    assert "Fix:" in end.stderr
    assert "Traceback" not in end.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_no_framework(command: str, tmp_path: Path, environment: dict[str, str]) -> None:
    """The parent process never loads one, whether or not it is installed."""
    program = f"from bnspec.cli import main\ntry:\n    main([{command!r}, '--help'])\nexcept SystemExit:\n    pass\n"
    assert frameworks_loaded_by(program, tmp_path, environment) == []


@pytest.mark.skipif(
    not any(importlib.util.find_spec(name) for name in FRAMEWORKS),
    reason="no framework is installed that could be loaded",
)
def test_opening_every_backend_loads_no_framework_here(tmp_path: Path, environment: dict[str, str]) -> None:
    """Frameworks live in workers, even when each of them is opened and asked for its devices."""
    program = "from bnspec.cli import main\nassert main(['backends', '--json']) == 0\n"
    assert frameworks_loaded_by(program, tmp_path, environment) == []


def frameworks_loaded_by(program: str, place: Path, environment: dict[str, str]) -> list[str]:
    """Which frameworks are among a Python process's modules after it has run the program."""
    report = f"import json, sys\nsys.stderr.write(json.dumps([m for m in {FRAMEWORKS!r} if m in sys.modules]))\n"
    command = [sys.executable, "-c", program + report]
    end = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stderr
    loaded: list[str] = json.loads(end.stderr.splitlines()[-1])
    return loaded
