"""What the tests of the house share: where the repository is, and what its pyproject.toml says."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def pyproject() -> dict[str, Any]:
    """The parsed pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a child process, without what pytest and a developer's shell put into it."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "PYTEST_ADDOPTS", "PYTHONWARNINGS")
    return {name: value for name, value in os.environ.items() if name not in foreign}
