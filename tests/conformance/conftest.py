"""Fixtures shared by the conformance tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parents[1] / "support"


@pytest.fixture
def example_adapters_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find tests/support/example_adapters.py."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
