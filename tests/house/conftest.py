"""What the tests of the house share: where the repository is, what its pyproject.toml says, and workers on written adapters."""

from __future__ import annotations

import os
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry

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


#: A correct layer; each test's layer differs from it in one respect.
ADAPTERS = """
import os, signal, time
import numpy as np
from bnspec.backends.numpy.specification import NumpyLayer, NumpySpec
from bnspec.contract import Adapter, Declined, DeviceAbsent, Gradients

class Base(NumpySpec):
    built = NumpyLayer
    def layer(self, *arguments):
        return self.built(*arguments)
"""


@pytest.fixture
def write_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Worker]]:
    """Start a worker on the class ``Example`` of a module with this source; stopped when the test ends."""
    workers: list[Worker] = []
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def start(source: str) -> Worker:
        (tmp_path / "written_adapter.py").write_text(ADAPTERS + textwrap.dedent(source))
        workers.append(Worker(Entry("written", "written_adapter:Example"), "cpu"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()
