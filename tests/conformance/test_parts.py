"""``make test`` and ``make conformance-rest`` are the two parts of ``make conformance``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.registry import registered

ROOT = Path(__file__).resolve().parents[2]


def collect(*options: str) -> tuple[set[str], int, str]:
    """The backends that ``pytest conformance`` would judge, its exit status, and what it said."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "conformance",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        *options,
    ]
    end = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    tests = [line.partition("[")[2] for line in end.stdout.splitlines() if "::" in line]
    return {test.partition("@")[0] for test in tests}, end.returncode, end.stdout + end.stderr


def test_every_backend_is_in_one_of_the_two_parts() -> None:
    """What the gate takes, the rest leaves out, and nothing else."""
    gate = ",".join(name for folder in backend_folders() for name in folder.gate)
    taken, status, _ = collect("--bnspec-backends", gate)
    left, other, _ = collect("--bnspec-except", gate)
    assert (status, other) == (0, 0)
    assert taken == set(gate.split(","))
    assert not taken & left
    assert taken | left == {entry.name for entry in registered()}


def test_a_part_without_backends_is_refused() -> None:
    """A run that judges nothing must not look green; a mistyped name is none."""
    for options, said in ((("--bnspec-except", "*"), "no backend is left"), (("--bnspec-except", "nupmy"), "numpy")):
        _, status, text = collect(*options)
        assert status not in (0, 5)
        assert said in text
