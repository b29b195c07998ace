"""Planted adapters: layers with one habit each, opened in a worker of their own as any backend is."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry

#: A correct layer on NumPy; what is planted is added to its layer (LAYER) or its adapter (ADAPTER).
SOURCE = """
import os, signal, time
import numpy as np
from bnspec.backends.numpy.specification import NumpyLayer, NumpySpec
from bnspec.contract import Declined, DeviceAbsent, Conventions

class Layer(NumpyLayer):
    answer = None
{layer}

class Planted(NumpySpec):
    def layer(self, *arguments):
        return Layer(*arguments)
{adapter}
"""
Plant = Callable[..., str]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Write the module of a planted adapter; returns what ``--backend`` takes."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(layer: str = "", adapter: str = "") -> str:
        parts = {"layer": layer, "adapter": adapter}
        indented = {name: textwrap.indent(textwrap.dedent(part), "    ") for name, part in parts.items()}
        (tmp_path / "planted_adapter.py").write_text(SOURCE.format(**indented))
        return "planted_adapter:Planted"

    return write


@pytest.fixture
def worker_of(plant: Plant) -> Iterator[Callable[..., Worker]]:
    """Start a worker on a planted adapter; stopped when the test ends."""
    workers: list[Worker] = []

    def start(layer: str = "", adapter: str = "") -> Worker:
        workers.append(Worker(Entry("planted", plant(layer, adapter)), "cpu"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


@pytest.fixture(scope="session")
def numpy_worker() -> Iterator[Worker]:
    """A worker of the backend ``numpy``."""
    with Worker(Entry("numpy", "bnspec.backends.numpy.specification:NumpySpec"), "cpu") as worker:
        yield worker
