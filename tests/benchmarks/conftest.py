"""Custom adapters: layers with one defect each, opened in a worker of their own like any backend."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry

#: A correct layer on NumPy; a test adds code to its layer or its adapter.
SOURCE = """
import os, signal, time
import numpy as np
from bnspec.backends.numpy.specification import NumpyLayer, NumpySpec
from bnspec.contract import Declined, DeviceAbsent, Conventions

class Layer(NumpyLayer):
    answer = None
{layer}

class Custom(NumpySpec):
    def layer(self, *arguments):
        return Layer(*arguments)
{adapter}
"""
WriteAdapter = Callable[..., str]


@pytest.fixture
def write_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteAdapter:
    """Write the module of a custom adapter; returns its name for ``--backend``."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(layer: str = "", adapter: str = "") -> str:
        parts = {"layer": layer, "adapter": adapter}
        indented = {name: textwrap.indent(textwrap.dedent(part), "    ") for name, part in parts.items()}
        (tmp_path / "custom_adapter.py").write_text(SOURCE.format(**indented))
        return "custom_adapter:Custom"

    return write


@pytest.fixture
def worker_of(write_adapter: WriteAdapter) -> Iterator[Callable[..., Worker]]:
    """Start a worker on a custom adapter; stopped when the test ends."""
    workers: list[Worker] = []

    def start(layer: str = "", adapter: str = "") -> Worker:
        workers.append(Worker(Entry("custom", write_adapter(layer, adapter)), "cpu"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


@pytest.fixture(scope="session")
def numpy_worker() -> Iterator[Worker]:
    """A worker of the backend ``numpy``."""
    with Worker(Entry("numpy", "bnspec.backends.numpy.specification:NumpySpec"), "cpu") as worker:
        yield worker
